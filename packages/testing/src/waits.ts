import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'

const DEFAULT_WITHIN_MS = 10_000
const DEFAULT_EVERY_MS = 10

export interface BlockedBackend {
  pid: number
  applicationName: string
  /** Process ids that hold, or queue before it for, the lock this backend waits for. */
  blockedBy: number[]
  waitEvent: string | null
  query: string
}

/**
 * Resolves when `count` (default 1) backends of this database really wait for a heavyweight lock: rows, tables,
 * transactions or advisory locks. That forces a race: what comes next in the test comes while they wait.
 * `pid` and `applicationName` say which backends count. The observing pool needs a free connection.
 */
export async function waitUntilBlocked(
  pool: pg.Pool,
  options: { pid?: number; applicationName?: string; count?: number; withinMs?: number } = {},
): Promise<BlockedBackend[]> {
  const { pid, applicationName, count = 1, withinMs = DEFAULT_WITHIN_MS } = options
  const deadline = Date.now() + withinMs
  for (;;) {
    const activity = await readActivity(pool)
    const blocked = activity.filter(
      (backend) =>
        backend.blockedBy.length > 0 &&
        (pid === undefined || backend.pid === pid) &&
        (applicationName === undefined || backend.applicationName === applicationName),
    )
    if (blocked.length >= count) return blocked
    if (Date.now() > deadline) {
      const wanted = JSON.stringify({ pid, applicationName, count })
      throw new Error(
        `No backend became blocked within ${withinMs} ms (wanted ${wanted}, found ${blocked.length}). ` +
          `Activity in this database:\n${describeActivity(activity)}`,
      )
    }
    await sleep(DEFAULT_EVERY_MS)
  }
}

type Backend = BlockedBackend & { state: string | null }

async function readActivity(pool: pg.Pool): Promise<Backend[]> {
  const { rows } = await pool.query<Backend>(`
    select pid, application_name as "applicationName", state, pg_blocking_pids(pid) as "blockedBy",
           concat_ws('/', wait_event_type, wait_event) as "waitEvent", left(query, 160) as query
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
    order by pid`)
  return rows
}

function describeActivity(activity: readonly Backend[]): string {
  if (activity.length === 0) return '  (no other sessions)'
  return activity
    .map(({ pid, applicationName, state, waitEvent, blockedBy, query }) => {
      const blockers = blockedBy.length > 0 ? ` blocked by ${blockedBy.join(', ')}` : ''
      const text = query.replace(/\s+/g, ' ').trim()
      return `  ${pid} ${applicationName || '(unnamed)'} ${state} ${waitEvent || 'no wait'}${blockers}: ${text}`
    })
    .join('\n')
}

/**
 * Calls `check` until it neither throws nor rejects, and gives what it returned; after `withinMs` the last error
 * is the cause of the one thrown. For effects that nothing announces; where something can be awaited, await it.
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { withinMs = DEFAULT_WITHIN_MS, everyMs = DEFAULT_EVERY_MS }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (cause) {
      if (Date.now() > deadline) {
        const last = cause instanceof Error ? cause.message : String(cause)
        throw new Error(`Still not so after ${withinMs} ms: ${last}`, { cause })
      }
    }
    await sleep(everyMs)
  }
}
