import { isHeaderName, isSecretName } from './secret-names.ts'
import { lineValue, secretValue } from './secret-value.ts'
import type { Mark } from './spans.ts'

const MAX_NAME_LENGTH = 128
const MAX_GAP = 8
const NAME_CHARACTER = /[\w.$-]/
const QUOTES_AND_BRACKETS = /["'`\\)\]]/

/** Says that there is no value, or whose own words say that something was left out. */
const NO_SECRET = /^(?:null|undefined|true|false|none|nil|\*+)$/i

/** The longest value that is asked whether it is one of these. */
const MAX_FACT_LENGTH = 16
/** With a number, a count of tokens and the like. */
const COUNTED = /(?:tokens|secrets|cookies|credentials|signatures)$/i

/** `--token x`, where the name is not tied to its value by a character. */
const COMMAND_OPTION = /--([a-z][\w-]{0,63}) {1,4}(?=[^\s-])/gi
/** As in `create role … password 'x'`. */
const SQL_PASSWORD = /\b(?:password|identified by) {1,4}(?=')/gi

interface Name {
  readonly text: string
  readonly start: number
  readonly isQuoted: boolean
}

/**
 * Finds `name=value`, `name: value`, `"name": "value"`, `name => value`, `<name>value`, headers, query parameters and
 * command-line options whose name looks secret. Goes back from each separator by a bounded distance and forward over
 * each value once, so the time is linear.
 */
export function findKeyValues(text: string, mark: Mark): void {
  const separator = /[=:>]/g
  for (let match = separator.exec(text); match !== null; match = separator.exec(text)) {
    const name = nameBefore(text, match.index)
    if (name === undefined) continue
    const before = text[name.start - 1] ?? ''
    const isTag = match[0] === '>'
    if (isTag && before !== '<') continue
    const isExplicit = match[0] !== ':' || name.isQuoted
    const isQueryParameter = match[0] === '=' && /[?&]/.test(before)
    if (!isSecretName(name.text, { isExplicit, isQueryParameter })) continue

    const at = valueStart(text, match.index)
    const isBareHeader = match[0] === ':' && isHeaderName(name.text) && !/["'`\\[{]/.test(text[at] ?? '')
    const enclosing = /["'`]/.test(before) && !name.isQuoted ? before : undefined
    const { from, to } = isBareHeader ? lineValue(text, at, enclosing) : secretValue(text, at)
    if (to - from <= MAX_FACT_LENGTH && isFact(name.text, text.slice(from, to))) continue
    mark(from, to)
    separator.lastIndex = Math.max(to, match.index + 1)
  }
  for (const match of text.matchAll(COMMAND_OPTION)) {
    if (!isSecretName(match[1]!, { isExplicit: true, isQueryParameter: false })) continue
    markValue(text, match.index + match[0].length, mark)
  }
  for (const match of text.matchAll(SQL_PASSWORD)) markValue(text, match.index + match[0].length, mark)
}

function isFact(name: string, value: string): boolean {
  return NO_SECRET.test(value) || (COUNTED.test(name) && /^\d+$/.test(value))
}

function markValue(text: string, at: number, mark: Mark): void {
  const { from, to } = secretValue(text, at)
  mark(from, to)
}

/** The name that ends before a separator; with the word before it when that belongs to it, as in `api key: x`. */
function nameBefore(text: string, separator: number): Name | undefined {
  let end = separator
  while (end > 0 && separator - end < MAX_GAP && text[end - 1] === ' ') end--
  const spaced = end
  while (end > 0 && spaced - end < MAX_GAP && QUOTES_AND_BRACKETS.test(text[end - 1]!)) end--
  let start = wordStart(text, end)
  if (start === end) return undefined
  const isQuoted = /["'`]/.test(text.slice(end, spaced))
  if (/^(?:keys?|id|token|string)$/i.test(text.slice(start, end)) && text[start - 1] === ' ') {
    start = wordStart(text, start - 1)
  }
  return { text: text.slice(start, end), start, isQuoted }
}

function wordStart(text: string, end: number): number {
  let start = end
  while (start > 0 && end - start < MAX_NAME_LENGTH && NAME_CHARACTER.test(text[start - 1]!)) start--
  return start
}

/** Skips the rest of `:=`, `==` or `=>`, and spaces. */
function valueStart(text: string, separator: number): number {
  let at = separator + 1
  if (text[separator] !== '>') while (at < separator + 4 && /[=>]/.test(text[at] ?? '')) at++
  const spaced = at
  while (at - spaced < MAX_GAP && text[at] === ' ') at++
  return at
}
