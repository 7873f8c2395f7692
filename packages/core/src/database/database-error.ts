import {
  DatabaseRefusedError,
  DatabaseUnavailableError,
  InvalidOptionError,
  OpsLedgerError,
} from '../errors.ts'
import type { ConnectionSettings } from './executor.ts'

const CONNECTION_STATES = new Set(['57P01', '57P02', '57P03', '57P05', '53300', '25P03', '57P04'])
const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END',
])
const CONNECTION_MESSAGES =
  /Connection terminated|Query read timeout|timeout exceeded when trying to connect|timeout expired|Client has encountered a connection error|not queryable|Client was closed|server closed the connection/i
const CONFLICT_STATES = new Set(['40001', '40P01', '55P03', '23505', '57014'])
const LACKS_RIGHT = '42501'
const REFUSAL_STATES = new Set(['28000', '28P01', '3D000', LACKS_RIGHT])

/**
 * The server cannot write just now: its disk is full, its configuration or its storage fails, or it is a standby. (Not
 * 53200, which a lock table that is too small raises for ever, and 53300, which is about connections.)
 */
const RESOURCE_STATES = new Set(['53100', '53400', '58030', '25006'])

/** The `code` of what was thrown: a SQLSTATE, or a word of Node's such as `ECONNRESET`; null without one. */
export function sqlState(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : null
}

/** The connection, not the statement, failed: whether it took effect is unknown. */
export function isConnectionError(error: unknown): boolean {
  // One that gave up on a conflict was heard by the database each time.
  if (error instanceof DatabaseUnavailableError) return !isConflict(error.cause)
  const code = sqlState(error)
  if (code !== null && (CONNECTION_STATES.has(code) || CONNECTION_CODES.has(code) || /^08...$/.test(code)))
    return true
  if (error instanceof AggregateError) return error.errors.some(isConnectionError)
  return error instanceof Error && CONNECTION_MESSAGES.test(error.message)
}

/** The server answered, and nothing of it took effect: an operator, or time, has to help first. */
export function isShortOfResources(error: unknown): boolean {
  const code = sqlState(error)
  return code !== null && RESOURCE_STATES.has(code)
}

/** Somebody else was faster: the same call may succeed when it is sent again. Nothing of it took effect. */
export function isConflict(error: unknown): boolean {
  const code = sqlState(error)
  return code !== null && CONFLICT_STATES.has(code)
}

/** A statement of ours ran under a stricter isolation level than it needs (see `transactionRules`). */
export function isWrongIsolation(error: unknown): boolean {
  return sqlState(error) === 'OL001'
}

/** The error for a host that cannot be served: says where, as whom, what happened and what to check. No password. */
export function connectionProblem(error: unknown, settings: ConnectionSettings | null): Error {
  if (error instanceof OpsLedgerError) return error
  if (sqlState(error) === 'ERR_INVALID_URL') {
    return new InvalidOptionError(
      'connection',
      '(not shown)',
      'a URL such as postgres://user:password@host:5432/database, special characters percent-encoded',
    )
  }
  const where = describeSettings(settings)
  const why = error instanceof Error ? error.message || (sqlState(error) ?? error.name) : 'unknown error'
  const code = sqlState(error)
  const suffix = code === null || why.includes(code) ? '' : ` (${code})`
  if (code === LACKS_RIGHT) {
    return new DatabaseRefusedError(`Postgres at ${where} refused: ${why}${suffix}. ${WHAT_TO_GRANT}`, {
      cause: error,
    })
  }
  if (code !== null && REFUSAL_STATES.has(code)) {
    return new DatabaseRefusedError(
      `Postgres at ${where} refused the connection: ${why}${suffix}. Check user, password and database name.`,
      { cause: error },
    )
  }
  if (isConnectionError(error)) {
    return new DatabaseUnavailableError(
      `Postgres at ${where} cannot be reached: ${why}${suffix}. Check that it runs and that host and port are right.`,
      { cause: error },
    )
  }
  return error instanceof Error ? error : new DatabaseUnavailableError(`Postgres at ${where}: ${why}`)
}

/** The end of what is said of a role that lacks a right. */
export const WHAT_TO_GRANT = 'docs/operating.md, "Rights", has the grants that a role needs, to copy.'

/**
 * What an operator has to grant is refused as what an operator has to mend, with what Postgres said and what it was asked
 * for; any other error as it is.
 */
export function rightsProblem(error: unknown, asked: string): unknown {
  if (sqlState(error) !== LACKS_RIGHT) return error
  const said = (error as Error).message
  return new DatabaseRefusedError(
    `The role lacks a right for ${asked}: ${said} (${LACKS_RIGHT}). ${WHAT_TO_GRANT}`,
    { cause: error },
  )
}

/** Host, port, database and user, for messages; never the password, and no text that could hold it. */
export function describeSettings(settings: ConnectionSettings | null): string {
  if (settings === null) return "the host's Kysely instance"
  let { host, port, database, user } = settings
  if (settings.connectionString !== undefined) {
    try {
      const url = new URL(settings.connectionString)
      // A password with an unencoded slash or question mark would be shown as part of the database.
      if (/@/.test(url.pathname + url.search + url.hash)) return 'the given connection string'
      host = url.hostname || host
      port = url.port === '' ? port : Number(url.port)
      database = decodeURIComponent(url.pathname.slice(1)) || database
      user = decodeURIComponent(url.username) || user
    } catch {
      return 'the given connection string'
    }
  }
  return `${host ?? 'localhost'}:${port ?? 5432}/${database ?? ''}${user === undefined ? '' : ` as ${user}`}`
}
