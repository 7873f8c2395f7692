import { sqlstateOf } from './classify.ts'
import { findHttpStatus } from './http-status.ts'
import { isError, read, readText } from './read.ts'
import { REASON_CODES, type ReasonCode } from './reason-code.ts'
import { stripValues } from './strip-values.ts'

/**
 * What the chain says, from the outside in: each message once, without the values drivers put in, with the SQLSTATE
 * or HTTP status of the first link that has one. Still to be redacted.
 */
export function messageOf(chain: readonly unknown[], reasonCode: ReasonCode): string {
  let message = ''
  for (const text of cleanMessages(chain)) {
    if (text === '' || message.includes(text)) continue
    // A colon would make a key of what comes before it, and a secret of what comes after it.
    message = message === '' ? text : `${message} ← ${text}`
  }
  const facts = factsOf(chain).filter((fact) => !message.includes(fact.value))
  const suffix = facts.map(({ label, value }) => `${label} ${value}`).join(', ')
  if (message === '') return suffix || describeValue(chain[0]) || meaningOf(reasonCode)
  return suffix === '' ? message : `${message} (${suffix})`
}

/**
 * The message of each link without values. A wrapper often repeats the message of what it wraps, and only the inner
 * error tells what in it is a value: so from the inside out, and with each inner text replaced by its clean one.
 */
function cleanMessages(chain: readonly unknown[]): string[] {
  const inner: { raw: string; clean: string }[] = []
  for (const link of chain.toReversed()) {
    const raw = rawMessage(link)
    let text = raw
    for (const other of inner) {
      if (other.raw !== '' && other.raw !== other.clean) text = text.replaceAll(other.raw, () => other.clean)
    }
    inner.push({ raw, clean: stripValues(text, sqlstateOf(link)).trim() })
  }
  return inner.map(({ clean }) => clean).toReversed()
}

function rawMessage(link: unknown): string {
  if (typeof link === 'string') return link
  const message = read(link, 'message')
  if (typeof message === 'string') return message
  return typeof message === 'number' || typeof message === 'bigint' ? String(message) : ''
}

function factsOf(chain: readonly unknown[]): { label: string; value: string }[] {
  for (const link of chain) {
    const status = findHttpStatus(link)
    if (status !== undefined) return [{ label: 'HTTP status', value: String(status) }]
    const sqlstate = sqlstateOf(link)
    if (sqlstate !== undefined) return [{ label: 'SQLSTATE', value: sqlstate }]
    const code = readText(link, 'code')
    if (/^[A-Z][A-Z0-9_]{2,47}$/.test(code)) return [{ label: 'code', value: code }]
  }
  return []
}

/** Says what kind of value was thrown; of an object nothing more than that it is one. */
function describeValue(thrown: unknown): string {
  if (isError(thrown)) return ''
  if (thrown === '') return 'An empty text was thrown.'
  if (thrown === null || /^(?:undefined|boolean|number|bigint|symbol)$/.test(typeof thrown)) {
    return `${String(thrown)} was thrown.`
  }
  return typeof thrown === 'function'
    ? 'A function was thrown.'
    : 'An object that is not an error was thrown.'
}

function meaningOf(reasonCode: ReasonCode): string {
  return Object.hasOwn(REASON_CODES, reasonCode)
    ? REASON_CODES[reasonCode as keyof typeof REASON_CODES]
    : `The operation failed with ${reasonCode}.`
}
