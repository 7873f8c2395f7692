import { PLACEHOLDER } from '../redaction/redactor.ts'

/** Longer than any message worth reading, so that a hostile one costs no more than this. */
const MAX_READ_LENGTH = 8_192

/**
 * The beginnings after which Postgres and JSON parsers show the value itself: in quotes, and up to the last quote
 * there is, since the value may hold quotes and line ends too.
 */
const BEFORE_QUOTED =
  /(?:invalid input syntax for (?:type )?[\w ]{1,64}|invalid input value for enum [\w."]{1,128}|malformed \w{1,32} literal|field value out of range|value|time zone|invalid \w{1,32} digit|invalid value for parameter [\w."]{1,64}|at or near|unterminated quoted \w{1,16}|unexpected (?:identifier|string|token)):? (?=")/i
/** The same for values in brackets. */
const BEFORE_BRACKET = /(?:\bKey \([^)\n]{1,256}\)=|Failing row contains )(?=\()/
/** `JSON.parse` shows the input around the mistake. */
const JSON_SNIPPET = /"[\s\S]{0,128}"(?:\.{3})? is not valid JSON/g
const JSON_TOKEN = /Unexpected token (?:'[\s\S]{1,2}'|[^\s'[])/g
/** Drizzle's message goes on with the statement's parameters, which may have many lines. */
const PARAMETERS = /(?:\n|^|; )(?:params|parameters|bindings): [\s\S]*$/i

/** SQLSTATE classes and codes whose messages quote data rather than names: data exceptions and syntax errors. */
const QUOTES_DATA = /^(?:21|22|42601$|42P02$)/

/** The message without the values a driver or a parser put in. Names of tables, columns and constraints stay. */
export function stripValues(message: string, sqlstate?: string): string {
  let text = message.slice(0, MAX_READ_LENGTH)
  const parameters = PARAMETERS.exec(text)
  if (parameters !== null) text = text.slice(0, parameters.index)
  if (sqlstate !== undefined && QUOTES_DATA.test(sqlstate)) text = cutBetween(text, text.indexOf('"'), '"')
  text = cutAfter(text, BEFORE_QUOTED, '"')
  text = cutAfter(text, BEFORE_BRACKET, ')')
  return text
    .replaceAll(JSON_SNIPPET, `${PLACEHOLDER} is not valid JSON`)
    .replaceAll(JSON_TOKEN, `Unexpected token ${PLACEHOLDER}`)
}

function cutAfter(text: string, before: RegExp, closing: string): string {
  const match = before.exec(text)
  return match === null ? text : cutBetween(text, match.index + match[0].length, closing)
}

function cutBetween(text: string, open: number, closing: string): string {
  if (open < 0) return text
  const close = text.lastIndexOf(closing)
  const rest = close > open ? text.slice(close) : ''
  return `${text.slice(0, open + 1)}${PLACEHOLDER}${rest}`
}
