import type pg from 'pg'
import { ConnectionFailedError, messageOf } from '../errors.ts'
import type { Target } from './connection-settings.ts'

/** Timeouts of the role or database would end a session that idles while migrations run. */
const SETTINGS = `
  select set_config(name, case name when 'lock_timeout' then $1 else '0' end, false)
  from pg_catalog.pg_settings where name in (
    'lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout',
    'transaction_timeout')`

/** SQLSTATE `invalid_catalog_name`. */
const UNKNOWN_DATABASE = '3D000'

/** @throws ConnectionFailedError */
export async function connect(client: pg.Client, target: Target): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    const { user, host, port, database } = target
    const hint =
      isDatabaseError(error) && error.code === UNKNOWN_DATABASE
        ? 'The database itself is not created here: create it first, such as with createdb.'
        : 'Does the server run, and is the address right?'
    throw new ConnectionFailedError(
      `No connection to the database ${JSON.stringify(database)} as ${JSON.stringify(user)} on ${host}, port ${port}: ` +
        `${messageOf(error)}. Nothing was changed. ${hint}`,
      { cause: error },
    )
  }
}

export async function prepareSession(client: pg.Client, lockTimeoutMs: number): Promise<void> {
  await client.query(SETTINGS, [String(lockTimeoutMs)])
}

/** `unknown`: the connection was lost while the commit was under way. */
export type TransactionEnd = 'rolled back' | 'unknown'

/** READ COMMITTED whatever the role's default, so that each check sees what has happened before it. */
export async function inTransaction<T>(
  client: pg.Client,
  access: 'read write' | 'read only',
  work: () => Promise<T>,
  wrap: (error: unknown, end: TransactionEnd) => unknown,
): Promise<T> {
  let end: TransactionEnd = 'rolled back'
  try {
    await client.query(`begin isolation level read committed ${access}`)
    const result = await work()
    if (access === 'read write') await client.query('set constraints all immediate')
    end = 'unknown'
    await client.query('commit')
    return result
  } catch (error) {
    // Only the database itself says for sure that a commit failed; a lost connection leaves it open.
    if (isDatabaseError(error)) end = 'rolled back'
    await client.query('rollback').catch(() => {})
    throw wrap(error, end)
  }
}

export const isDatabaseError = (error: unknown): error is Error & { code: string } =>
  error instanceof Error && typeof (error as { severity?: unknown }).severity === 'string'
