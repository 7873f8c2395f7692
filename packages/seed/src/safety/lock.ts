import type pg from 'pg'
import { ResetInProgressError } from '../errors.ts'

/**
 * Held by the session from before the first check to the end. Advisory locks are per database, so one key
 * serves all: the first 64 bits of sha256('opsledger-seed:reset').
 */
const LOCK_KEY = '7245701145470533782'

/**
 * A second job at once is a mistake of the pipeline: its reset would pull the tables from under the first's
 * tests.
 */
export const DEFAULT_LOCK_WAIT_MS = 0

/**
 * @param waitMs how long another reset is waited for; 0 does not wait
 * @throws ResetInProgressError
 */
export async function takeLock(client: pg.Client, waitMs: number): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>(
    'select pg_try_advisory_lock($1::bigint) as taken',
    [LOCK_KEY],
  )
  if (rows[0]!.taken) return
  if (waitMs > 0) {
    try {
      await client.query(`set lock_timeout = ${waitMs}`)
      await client.query('select pg_advisory_lock($1::bigint)', [LOCK_KEY])
      return
    } catch (error) {
      if ((error as { code?: unknown }).code !== '55P03') throw error
    }
  }
  throw new ResetInProgressError(
    'Another reset of this database is under way, and this one changed nothing. ' +
      'Give each CI job a database of its own, or let the second wait with `lockWaitMs`.',
  )
}

export async function holdsLock(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(
    `select exists (
       select from pg_catalog.pg_locks l join pg_catalog.pg_database d on d.oid = l.database
       where l.locktype = 'advisory' and l.granted and l.pid = pg_backend_pid()
         and d.datname = current_database() and l.objsubid = 1
         and (l.classid::bigint << 32) | l.objid::bigint = $1::bigint
     ) as held`,
    [LOCK_KEY],
  )
  return rows[0]!.held
}
