import { createLedger, type Run } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import type pg from 'pg'

/** What the tables say when all is over. */
export interface LedgerPicture {
  readonly runs: readonly RunPicture[]
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

interface PastPicture {
  readonly fence: number
  readonly outcome: string
  readonly total: number | null
  readonly processed: number | null
}

/** Sweeps as an operator would, then reads the tables with plain SQL. */
export async function readLedger(url: string, pool: pg.Pool): Promise<LedgerPicture> {
  const connectionsLeft = await settledConnections(pool)
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
