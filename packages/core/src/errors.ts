/**
 * The one base of every error this library throws on purpose. `code` is a stable literal to branch on; the
 * message says what happened, on what, and what to do next; `cause` keeps what it came from.
 */
export abstract class OpsLedgerError extends Error {
  abstract readonly code: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** An option or an argument that cannot be used. Thrown where it is given, before anything is written. */
export class InvalidOptionError extends OpsLedgerError {
  readonly code = 'invalid_option'
  readonly option: string

  /** @param allowed what would have been accepted, as the end of "…; allowed: " */
  constructor(option: string, value: unknown, allowed: string) {
    super(`${option} is ${show(value)}; allowed: ${allowed}`)
    this.option = option
  }
}

/** A short, single-line picture of a value for a message; never throws and never shows more than 80 characters. */
function show(value: unknown): string {
  let text: string
  try {
    text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  } catch {
    text = `a ${typeof value}`
  }
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}
