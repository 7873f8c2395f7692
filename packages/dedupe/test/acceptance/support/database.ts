import { eventually, type PostgresProxy } from '@opsledger/testing'
import { onTestFinished } from 'vitest'
import type { Queryable } from '../../support/variants.ts'

/** Every row of every table of the schema as text, by table: what the library has written, and nothing else. */
export async function contentsOf(pool: Queryable): Promise<Record<string, string[]>> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'opsledger' order by 1`,
  )
  const contents: Record<string, string[]> = {}
  for (const { name } of tables) {
    const { rows } = await pool.query<{ text: string }>(
      `select t::text as text from opsledger."${name}" as t order by 1`,
    )
    contents[name] = rows.map(({ text }) => text)
  }
  return contents
}

/** The cooldown of a run's work is over. */
export async function endCooldown(pool: Queryable, runId: string): Promise<void> {
  const { rowCount } = await pool.query(
    `update opsledger.job_claim set cooldown_until = clock_timestamp() where run_id = $1 and state = 'cooling'`,
    [runId],
  )
  if (rowCount !== 1) throw new Error(`Run ${runId} has ${rowCount} cooldowns`)
}

export async function expireLease(pool: Queryable, workerId: string | null): Promise<void> {
  await pool.query('update opsledger.worker_lease set expires_at = started_at where id = $1', [workerId])
}

/** The server processes whose session or transaction holds the advisory lock of a run's claim. */
async function lockHolders(pool: Queryable, runId: string): Promise<number[]> {
  const { rows } = await pool.query<{ pid: number }>(
    `select l.pid from pg_locks l join opsledger.job_claim c
       on l.classid::bigint << 32 | l.objid::bigint = c.lock_key
     where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and c.run_id = $1
       and l.database = (select oid from pg_database where datname = current_database())`,
    [runId],
  )
  return rows.map(({ pid }) => pid)
}

export async function untilUnlocked(pool: Queryable, runId: string): Promise<void> {
  await eventually(async () => {
    const pids = await lockHolders(pool, runId)
    if (pids.length > 0) throw new Error(`The lock of run ${runId} is held by ${pids.join(', ')}`)
  })
}

/**
 * To everybody else, the worker behind the proxy is gone: nothing comes from it, its lock session has ended, its lease
 * has run out. It knows nothing of that and goes on executing, until `proxy.resume()` tells it.
 */
export async function cutOff(
  pool: Queryable,
  proxy: PostgresProxy,
  run: { readonly id: string; readonly workerId: string | null },
): Promise<void> {
  proxy.pause()
  for (const pid of await lockHolders(pool, run.id))
    await pool.query('select pg_terminate_backend($1)', [pid])
  await untilUnlocked(pool, run.id)
  await expireLease(pool, run.workerId)
}

/**
 * Breaks a function of the schema until the test ends, to see that a test would notice. Each text must be there.
 * Only ever in a database of its own.
 */
export async function mutate(
  pool: Queryable,
  functionName: string,
  replacements: readonly (readonly [from: string, to: string])[],
): Promise<void> {
  const { rows } = await pool.query<{ text: string }>(
    `select pg_get_functiondef(p.oid) as text from pg_proc p
     where p.pronamespace = 'opsledger'::regnamespace and p.proname = $1`,
    [functionName],
  )
  const original = rows[0]!.text
  let text = original
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`${functionName} has no text ${JSON.stringify(from)}`)
    text = text.replaceAll(from, to)
  }
  await pool.query(text)
  onTestFinished(async () => {
    await pool.query(original)
  })
}
