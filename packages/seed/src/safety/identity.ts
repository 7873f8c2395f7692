import type pg from 'pg'
import { ConnectionChangedError, ResetRefusedError } from '../errors.ts'
import { type Allow, refusals } from './allow.ts'
import { holdsLock } from './lock.ts'

/** Which database on which server a connection has reached, as the server tells. */
export interface Identity {
  readonly database: string
  readonly databaseOid: string
  /** Null on a socket. */
  readonly address: string | null
  readonly port: number | null
  readonly startedAt: string
  readonly backendPid: number
}

interface IdentityRow extends Identity {
  readonly comment: string | null
  readonly standbys: number
}

/** Reads only. What a pooler or a name server would change behind our back is all here. */
const IDENTITY = `
  select current_database()::text as database, d.oid::text as "databaseOid",
    host(inet_server_addr()) as address, inet_server_port() as port,
    pg_postmaster_start_time()::text as "startedAt", pg_backend_pid() as "backendPid",
    shobj_description(d.oid, 'pg_database') as comment,
    (select count(*)::int from pg_catalog.pg_stat_replication) as standbys
  from pg_catalog.pg_database d where d.datname = current_database()`

/**
 * @throws ResetRefusedError when the database, as the server describes it, is not clearly meant for a reset
 */
export async function checkIdentity(client: pg.Client, host: string, allow: Allow): Promise<Identity> {
  const { comment, standbys, ...identity } = (await client.query<IdentityRow>(IDENTITY)).rows[0]!
  const reasons = refusals({ database: identity.database, host, comment, standbys }, allow)
  if (reasons.length > 0) throw new ResetRefusedError(identity.database, reasons)
  return identity
}

/**
 * The same check once more, inside the transaction that drops or writes: still allowed, still the same
 * backend of the same server, still with the lock.
 *
 * @throws ConnectionChangedError
 */
export async function recheckIdentity(
  client: pg.Client,
  host: string,
  allow: Allow,
  expected: Identity,
): Promise<void> {
  const actual = await checkIdentity(client, host, allow).catch((error: unknown) => {
    if (!(error instanceof ResetRefusedError)) throw error
    throw new ConnectionChangedError(
      `The database ${JSON.stringify(error.database)} was allowed and no longer is: ${error.reasons.join('; ')}. ` +
        'Nothing more was changed.',
      { cause: error },
    )
  })
  const changed = (Object.keys(expected) as (keyof Identity)[]).filter((key) => actual[key] !== expected[key])
  if (changed.length > 0) {
    const what = changed.map((key) => `${key} was ${expected[key]} and is ${actual[key]}`).join(', ')
    throw new ConnectionChangedError(
      `This connection is not the one that was checked (${what}), and nothing was changed on it. ` +
        'Connect to the server itself, not through a pooler.',
    )
  }
  if (!(await holdsLock(client))) {
    throw new ConnectionChangedError(
      'The lock on this database is gone, so another reset could be under way; nothing more was changed. ' +
        'Connect to the server itself, not through a pooler, and let no migration end or reset this session.',
    )
  }
}
