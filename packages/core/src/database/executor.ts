import type { Kysely, Transaction } from 'kysely'
import type { RunRow } from '../run/run.ts'

/** The tables that are read with Kysely. */
export interface LedgerTables {
  operation_run: RunRow
}

/** The host's tables are the host's own business: its handlers say which they are. */
// biome-ignore lint/suspicious/noExplicitAny: any database type will do
export type HostTransaction = Transaction<any>

/** Calls a function of the schema. */
export type Call = (name: string, args: readonly unknown[], timeoutMs?: number) => Promise<unknown>

/**
 * How the library talks to its schema: by calling the functions that the migrations put there. One call is one
 * statement in a READ COMMITTED transaction of its own; arguments and answer travel as text and JSON, so the type
 * parsers of a host's own driver have no say in it.
 */
export interface Executor {
  /** Whether the library opened these connections itself. */
  readonly isOwn: boolean
  /** Settings for another connection to the same database, when they are known. */
  readonly settings: ConnectionSettings | null
  /** For reads, migrations and the host's own writes. */
  readonly kysely: Kysely<LedgerTables>
  call: Call
  /**
   * A READ COMMITTED transaction for the host's writes, on connections that no call of ours waits for; `call` calls a
   * function of the schema inside it. Ends at once, with its reason, when `cut` aborts.
   */
  transaction<T>(cut: AbortSignal, work: (trx: HostTransaction, call: Call) => Promise<T>): Promise<T>
  /** Runs a statement outside the hot path and returns its rows. */
  query<R>(text: string, values?: readonly unknown[]): Promise<R[]>
  /** Looks at the server once, and from then on calls it as it needs to be called. */
  inspect(): Promise<ServerFacts>
  close(): Promise<void>
}

/** The part of pg's client settings that this library reads; the rest is passed through as it is. */
export interface ConnectionSettings {
  readonly connectionString?: string
  readonly host?: string
  readonly port?: number
  readonly database?: string
  readonly user?: string
  readonly password?: string | (() => string | Promise<string>)
  readonly [setting: string]: unknown
}

/** What a host's settings must not bring along: its timeouts and type parsers are for its own statements. */
export const OWN_SETTINGS = {
  statement_timeout: undefined,
  query_timeout: undefined,
  lock_timeout: undefined,
  idle_in_transaction_session_timeout: undefined,
  types: undefined,
} as const

/** What one look at the server told. */
export interface ServerFacts {
  /** As `server_version_num`: 170005 for 17.5. */
  readonly versionNumber: number
  /** False when the role or database defaults to a stricter level: then every call opens its own transaction. */
  readonly defaultsToReadCommitted: boolean
  /** The server process is not the one that greeted this connection: there is a pooler in between. */
  readonly isBehindPooler: boolean
}

export const INSPECT_SERVER = `
  select current_setting('server_version_num') as version, pg_backend_pid() as pid,
    current_setting('default_transaction_isolation') as isolation`

export interface ServerRow {
  version: string
  pid: number
  isolation: string
}

/** Longer than a slow commit or a checkpoint stall, shorter than a lease: a call that hangs is a lost connection. */
export const DEFAULT_CALL_TIMEOUT_MS = 8_000

/** A call of a function of the schema, `argumentCount` parameters long; its answer comes as text, named `answer`. */
export function callText(schema: string, name: string, argumentCount: number): string {
  const parameters = Array.from({ length: argumentCount }, (_, index) => `$${index + 1}`)
  return `select ${quoteName(schema)}.${quoteName(name)}(${parameters.join(', ')})::text as answer`
}

/** The JSON that a call answered with; null for no row, and for null. */
export function parseAnswer(rows: readonly { answer: string | null }[]): unknown {
  const text = rows[0]?.answer ?? null
  return text === null ? null : JSON.parse(text)
}

/** As an SQL identifier, whatever is in it. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
