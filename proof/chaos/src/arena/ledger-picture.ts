import { createLedger, type Run } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { type Nanos, nanos } from '@opsledger/testing'
import type pg from 'pg'

/** What the tables say when all is over. */
export interface LedgerPicture {
  readonly runs: readonly RunPicture[]
  /** The process of each worker id. */
  readonly pids: ReadonlyMap<string, number>
  /** Leases that were retired, while everybody was still there or by who went home. */
  readonly retiredLeases: readonly LeasePicture[]
  /** Runs that were still running when everybody had gone, before the sweep. */
  readonly leftRunning: readonly RunningPicture[]
  /** Claims that living workers held although nothing was left to execute, for longer than letting go may take. */
  readonly heldByLiving: readonly HeldPicture[]
  /** Claims that are still held after the sweep. */
  readonly heldClaims: number
  /** Runs that the first sweep closed, and those that a second one found, which should be none. */
  readonly sweptFirst: number
  readonly sweptAgain: number
  /** Connections of the library that are still there after every worker has gone. */
  readonly connectionsLeft: number
  /** All rows as one text, for what must not be in them. */
  readonly text: string
}

export interface RunPicture {
  readonly id: string
  readonly status: string
  readonly outcome: string
  readonly fence: number | null
  readonly counts: { total: number; processed: number; failed: number } | null
  readonly reasonCode: string | null
  readonly history: readonly PastPicture[]
}

export interface PastPicture {
  readonly fence: number
  readonly workerId: string
  readonly deliveryId: string
  readonly outcome: string
  readonly total: number | null
  readonly processed: number | null
  readonly failed: number | null
}

interface RunningPicture {
  readonly id: string
  readonly fence: number
  readonly deliveryId: string
  /** Of the process that it was admitted for. */
  readonly pid: number
}

interface LeasePicture {
  readonly pid: number
  /** When it ran out, or would have, by the clock that the journal keeps. */
  readonly expiresAt: Nanos
}

interface HeldPicture {
  readonly fence: number
  readonly workerId: string
}

const LOOK_EVERY_MS = 100
/** A worker frees what it holds for nobody once per lease; twice that, and what a busy machine adds, in ms. */
const LETS_GO_WITHIN = { leases: 2, graceMs: 2_000 }

/** A worker of the crew, as far as it is looked at here. */
interface Living {
  readonly isAlive: boolean
  readonly process: { readonly pid: number }
  readonly settings: { readonly leaseMs: number }
}

/**
 * The queue is empty, so nothing executes: the claims that these workers hold all the same. Looks until there are none,
 * or until each had the time to let go.
 */
export async function claimsHeldByLiving(pool: pg.Pool, workers: readonly Living[]): Promise<HeldPicture[]> {
  const longestLeaseMs = Math.max(0, ...workers.map(({ settings }) => settings.leaseMs))
  const giveUpAt = performance.now() + LETS_GO_WITHIN.leases * longestLeaseMs + LETS_GO_WITHIN.graceMs
  for (;;) {
    const alive = workers.filter(({ isAlive }) => isAlive).map(({ process }) => process.pid)
    const { rows } = await pool.query<HeldPicture>(
      `select c.fence::float8 as fence, c.worker_id as "workerId"
       from opsledger.job_claim c join opsledger.worker_lease w on w.id = c.worker_id
       where c.state = 'held' and w.retired_at is null and w.expires_at > clock_timestamp() and w.pid = any ($1::int[])`,
      [alive],
    )
    if (rows.length === 0 || performance.now() > giveUpAt) return rows
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** The server's clock and the journal's tick alike on one machine: how far apart they are is seen once. */
export async function readRetiredLeases(pool: pg.Pool): Promise<LeasePicture[]> {
  const askedAt = nanos()
  const { rows } = await pool.query<{ pid: number; aheadUs: string }>(
    `select pid, (extract(epoch from expires_at - clock_timestamp()) * 1000000)::bigint as "aheadUs"
     from opsledger.worker_lease where retired_at is not null`,
  )
  const lookedAt = askedAt + (nanos() - askedAt) / 2n
  return rows.map(({ pid, aheadUs }) => ({ pid, expiresAt: lookedAt + BigInt(aheadUs) * 1_000n }))
}

/** Sweeps as an operator would, then reads the tables with plain SQL. */
export async function readLedger(
  url: string,
  pool: pg.Pool,
  heldByLiving: LedgerPicture['heldByLiving'],
): Promise<LedgerPicture> {
  const connectionsLeft = await settledConnections(pool)
  const running = await pool.query<RunningPicture>(
    `select r.id, r.fence::float8 as fence, r.delivery_id as "deliveryId", l.pid
     from opsledger.operation_run r join opsledger.worker_lease l on l.id = r.worker_id
     where r.status = 'running'`,
  )
  const leases = await pool.query<{ id: string; pid: number }>('select id, pid from opsledger.worker_lease')
  const retiredLeases = await readRetiredLeases(pool)
  const ledger = createLedger({ connection: url })
  let first: Run[] = []
  let again: Run[] = []
  try {
    const guard = createGuard(ledger, { exclusion: 'lease' })
    ledger.operation({
      type: 'chaos.sweep',
      guard,
      scope: () => ({ workspaceId: 'w1', tenantId: 't1' }),
      fingerprint: () => 'none',
      handler: () => {},
    })
    await expireLeases(pool)
    first = await ledger.sweep()
    again = await ledger.sweep()
  } finally {
    await ledger.close()
  }
  const runs = await pool.query(
    `select id, status, outcome, fence::float8 as fence, total, processed, failed, reason_code,
       coalesce(attempt_history, '[]') as attempt_history from opsledger.operation_run`,
  )
  const held = await pool.query(`select count(*)::int as n from opsledger.job_claim where state = 'held'`)
  const text = await pool.query(`
    select coalesce(string_agg(row, E'\\n'), '') as text from (
      select r::text as row from opsledger.operation_run r
      union all select c::text from opsledger.job_claim c
      union all select l::text from opsledger.worker_lease l) as rows`)
  return {
    runs: runs.rows.map((row) => ({
      id: row.id,
      status: row.status,
      outcome: row.outcome,
      fence: row.fence,
      counts: row.total === null ? null : { total: row.total, processed: row.processed, failed: row.failed },
      reasonCode: row.reason_code,
      history: row.attempt_history,
    })),
    retiredLeases,
    pids: new Map(leases.rows.map(({ id, pid }) => [id, pid])),
    leftRunning: running.rows,
    heldByLiving,
    heldClaims: held.rows[0].n,
    sweptFirst: first.length,
    sweptAgain: again.length,
    connectionsLeft,
    text: text.rows[0].text,
  }
}

/** The leases of killed workers run out by themselves; waiting for the last one would prove nothing more. */
async function expireLeases(pool: pg.Pool): Promise<void> {
  await pool.query(
    `update opsledger.worker_lease set expires_at = clock_timestamp() where retired_at is null and expires_at > clock_timestamp()`,
  )
}

/** A backend whose client has ended takes a moment to go. */
async function settledConnections(pool: pg.Pool): Promise<number> {
  let left = 0
  for (let look = 0; look < 100; look++) {
    const { rows } = await pool.query(
      `select count(*)::int as n from pg_stat_activity
       where datname = current_database() and application_name like 'opsledger%'`,
    )
    left = rows[0].n
    if (left === 0) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return left
}
