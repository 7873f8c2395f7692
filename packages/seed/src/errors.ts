import { describeProblem, type Problem } from './check/problem.ts'

/**
 * The one base of every error this package throws on purpose. `code` is a stable literal to branch on; the
 * message says what happened, on what, and what to do next; `cause` keeps what it came from.
 */
export abstract class SeedError extends Error {
  abstract readonly code: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** An option that cannot be used. Thrown before a connection is opened. */
export class InvalidOptionError extends SeedError {
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

/** This database is not clearly meant to be reset. Nothing was changed. */
export class ResetRefusedError extends SeedError {
  readonly code = 'reset_refused'
  readonly database: string
  /** Everything that speaks against it, each with what would allow it. */
  readonly reasons: readonly string[]

  constructor(database: string, reasons: readonly string[]) {
    const list = reasons.map((reason) => `\n  - ${reason}`).join('')
    super(`The database ${JSON.stringify(database)} is not reset, and nothing was changed:${list}`)
    this.database = database
    this.reasons = reasons
  }
}

/** Objects outside the named schemas would be lost or keep tables from being emptied. Nothing was changed. */
export class ResetBlockedError extends SeedError {
  readonly code = 'reset_blocked'
  readonly dependents: readonly string[]

  constructor(dependents: readonly string[], fix: string) {
    const list = dependents.map((dependent) => `\n  - ${dependent}`).join('')
    super(`Objects outside what is reset depend on it, and nothing was changed:${list}\n${fix}`)
    this.dependents = dependents
  }
}

/** Another reset of the same database is under way. This one changed nothing. */
export class ResetInProgressError extends SeedError {
  readonly code = 'reset_in_progress'
}

/** The connection that is about to drop or to write is not the one that was checked, or lost the lock. */
export class ConnectionChangedError extends SeedError {
  readonly code = 'connection_changed'
}

/** No connection to the database. */
export class ConnectionFailedError extends SeedError {
  readonly code = 'connection_failed'
}

/** The schemas could not be dropped, recreated or read. What this step changed was rolled back. */
export class ResetFailedError extends SeedError {
  readonly code = 'reset_failed'
}

/** The host's own migrations failed. The schemas are recreated and hold what the migrations did so far. */
export class MigrationFailedError extends SeedError {
  readonly code = 'migration_failed'
}

/** The plan does not meet what the catalog and the rules ask for. Not a row was written. */
export class UnsatisfiedPlanError extends SeedError {
  readonly code = 'unsatisfied_plan'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[], state: string) {
    const list = problems.map((problem) => `\n  - ${describeProblem(problem)}`).join('')
    const things = problems.length === 1 ? 'one thing' : `${problems.length} things`
    super(`The plan leaves ${things} open, and no row was written (${state}):${list}`)
    this.problems = problems
  }
}

/**
 * The database refused a row that passed the checks, or went away. `table` is null when no table was at
 * fault.
 */
export class SeedingFailedError extends SeedError {
  readonly code = 'seeding_failed'
  readonly table: string | null

  constructor(message: string, table: string | null, options?: ErrorOptions) {
    super(message, options)
    this.table = table
  }
}

/**
 * A short, single-line picture of a value for a message; never throws and never shows more than 80
 * characters.
 */
export function show(value: unknown): string {
  let text: string
  try {
    text =
      typeof value === 'string' || (typeof value === 'object' && value !== null)
        ? (JSON.stringify(value) ?? String(value))
        : String(value)
  } catch {
    text = `a ${typeof value}`
  }
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : show(error)
}
