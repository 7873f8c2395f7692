import { OpsLedgerError } from '@opsledger/core'

/** Keys from the root of a value down to one of its parts. */
export type Trail = readonly (string | number)[]

/**
 * A value that canonical JSON cannot say, or one beyond its limits. The message names the path, the kind of thing
 * that was found there and what to do; it never holds the value itself.
 */
export class CanonicalJsonError extends OpsLedgerError {
  readonly code = 'no_canonical_form'
  readonly path: string
  /** The kind of thing that was found: `NaN`, `a Map`, `an instance of Invoice`. */
  readonly found: string

  constructor(path: string, found: string, advice: string, options?: ErrorOptions) {
    super(`${path} cannot be put into canonical JSON: found ${found}; ${advice}`, options)
    this.path = path
    this.found = found
  }
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/

/** Keeps one absurd key from filling a log line; no sensible field name is longer. */
const MAX_SHOWN_KEY_LENGTH = 64

/** `$.filter.since[2]`; a key that is no identifier is quoted, in printable ASCII only: `$["a b"]`. */
export function renderPath(root: string, trail: Trail): string {
  let path = root
  for (const key of trail) {
    if (typeof key === 'number') path += `[${key}]`
    else if (IDENTIFIER.test(key) && key.length <= MAX_SHOWN_KEY_LENGTH) path += `.${key}`
    else path += `[${quote(key)}]`
  }
  return path
}

function quote(key: string): string {
  const shown = key.length > MAX_SHOWN_KEY_LENGTH ? `${key.slice(0, MAX_SHOWN_KEY_LENGTH)}...` : key
  return JSON.stringify(shown).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
