import { createRedactor, type Redactor } from './redaction/redactor.ts'

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

  /**
   * @param problem the value and what would have been accepted, as the end of "…; allowed: "; or the whole message, where
   * it is not the value that is wrong
   */
  constructor(option: string, ...problem: [value: unknown, allowed: string] | [sentence: string]) {
    super(problem.length === 1 ? problem[0] : `${option} is ${show(problem[0])}; allowed: ${problem[1]}`)
    this.option = option
  }
}

/** Neither a run id nor a fingerprint says which work a job is. It would make all jobs of a type one job. */
export class MissingIdentityError extends OpsLedgerError {
  readonly code = 'missing_identity'
  readonly type: string

  constructor(type: string) {
    super(
      `A job of type ${JSON.stringify(type)} has neither a run id nor a fingerprint, so nothing tells it from ` +
        'another. Give the operation a `fingerprint` (or a `runId` that finds one in every payload).',
    )
    this.type = type
  }
}

/** A run id that belongs to another scope or type. Nothing was written, and nothing of that run is told. */
export class ScopeMismatchError extends OpsLedgerError {
  readonly code = 'scope_mismatch'
  readonly runId: string

  constructor(runId: string) {
    super(
      `Run ${runId} does not belong to the scope and type of this delivery. Nothing was written. ` +
        'Check which run id the dispatcher put into the payload.',
    )
    this.runId = runId
  }
}

/** The claim of a running attempt is no longer its own: the reason of its signal, and the refusal of its late writes. */
export class ClaimLostError extends OpsLedgerError {
  readonly code = 'claim_lost'
  readonly runId: string | null
  readonly fence: number

  constructor(runId: string | null, fence: number, why: string, options?: ErrorOptions) {
    super(
      `The claim of ${runId === null ? 'this job' : `run ${runId}`} (fence ${fence}) is lost: ${why}`,
      options,
    )
    this.runId = runId
    this.fence = fence
  }
}

/** The database could not be reached, or stayed away beyond the bound. Nothing is lost: the queue delivers again. */
export class DatabaseUnavailableError extends OpsLedgerError {
  readonly code = 'database_unavailable'
}

/**
 * The connection was lost while the host's transaction was being committed, and the database stayed away: whether its
 * writes are there is not known. Look before writing them again.
 */
export class TransactionUnconfirmedError extends OpsLedgerError {
  readonly code = 'transaction_unconfirmed'
  /** For `select pg_xact_status('…'::xid8)`. */
  readonly transactionId: string

  constructor(transactionId: string, withinMs: number, options?: ErrorOptions) {
    super(
      `The connection was lost while transaction ${transactionId} was being committed, and the database stayed away ` +
        `for ${withinMs} ms: whether its writes are there is not known. Look before writing them again.`,
      options,
    )
    this.transactionId = transactionId
  }
}

/**
 * The database answered and refused: a wrong password, an unknown database or role, no right to connect, or a role that
 * lacks a right on the schema. An operator has to help.
 */
export class DatabaseRefusedError extends OpsLedgerError {
  readonly code = 'database_refused'
}

/** The schema is not there, or older than this version of the code. */
export class MissingMigrationError extends OpsLedgerError {
  readonly code = 'missing_migration'
}

/** The schema has migrations, other than additive ones, that this version of the code does not know. */
export class NewerSchemaError extends OpsLedgerError {
  readonly code = 'newer_schema'
}

/** The ledger was closed: it takes no more work. The reason of the signals of what still ran then. */
export class LedgerClosedError extends OpsLedgerError {
  readonly code = 'ledger_closed'

  constructor() {
    super('This ledger is closed and takes no more work. Stop the queue worker before closing its ledger.')
  }
}

/** A count that cannot be: beyond the set total, below what is counted already, or after the attempt ended. */
export class CountError extends OpsLedgerError {
  readonly code = 'impossible_count'
}

const MAX_SHOWN_LENGTH = 80
let redactor: Redactor | null = null

/**
 * A short, single-line picture of a value for a message; never throws and never shows more than 80 characters. A
 * queue may store the message, and what was given may be a secret in the wrong place.
 */
function show(value: unknown): string {
  let text: string
  try {
    text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  } catch {
    return `a ${typeof value}`
  }
  redactor ??= createRedactor({ maxLength: MAX_SHOWN_LENGTH })
  return redactor.redact(text)
}
