import type { LibraryReasonCode } from './reason-code.ts'

/** Names that say what happened without any further field. */
const FACTS: Readonly<Record<string, LibraryReasonCode>> = {
  TimeoutError: 'abort.timeout',
  NoResultError: 'database.no_result',
  AssertionError: 'runtime.assertion',
  ThrottlingException: 'provider.throttled',
  ThrottledException: 'provider.throttled',
  TooManyRequestsException: 'provider.throttled',
  RequestLimitExceeded: 'provider.throttled',
  RateLimitError: 'provider.throttled',
  SlowDown: 'provider.throttled',
}

/** Names of an abort: its reason, when it is at hand, says more. */
const ABORTS = new Set(['AbortError', 'CanceledError', 'CancelError', 'RequestAbortedError'])

/** Names of a mistake, or of a wrapper: anything the causes know is better. */
const MISTAKES: Readonly<Record<string, LibraryReasonCode>> = {
  TypeError: 'runtime.type_error',
  ReferenceError: 'runtime.reference_error',
  SyntaxError: 'runtime.syntax_error',
  RangeError: 'runtime.out_of_range',
  URIError: 'runtime.invalid_uri',
}

/** Plain errors of `pg`, `pg-pool` and V8 that carry no code; matched from the first character on. */
const MESSAGES: readonly (readonly [string, LibraryReasonCode])[] = [
  ['Connection terminated due to connection timeout', 'database.connect_timeout'],
  ['timeout exceeded when trying to connect', 'database.connect_timeout'],
  ['timeout expired', 'database.connect_timeout'],
  ['Connection terminated', 'database.connection_failed'],
  ['Client has encountered a connection error', 'database.connection_failed'],
  ['Query read timeout', 'database.query_cancelled'],
  ['Maximum call stack size exceeded', 'runtime.stack_overflow'],
  ['Array buffer allocation failed', 'runtime.out_of_memory'],
  ['Invalid string length', 'runtime.out_of_memory'],
]

export function nameFact(names: readonly string[]): LibraryReasonCode | undefined {
  return firstOf(names, FACTS)
}

export function isAbortName(names: readonly string[]): boolean {
  return names.some((name) => ABORTS.has(name))
}

export function mistakeName(names: readonly string[]): LibraryReasonCode | undefined {
  return firstOf(names, MISTAKES)
}

export function messageFact(message: string): LibraryReasonCode | undefined {
  return MESSAGES.find(([beginning]) => message.startsWith(beginning))?.[1]
}

function firstOf(
  names: readonly string[],
  table: Readonly<Record<string, LibraryReasonCode>>,
): LibraryReasonCode | undefined {
  const name = names.find((candidate) => Object.hasOwn(table, candidate))
  return name === undefined ? undefined : table[name]
}
