import pg from 'pg'
import { TENANTS, TYPE, WORKSPACE } from '../cases/ledger-writes.ts'

/** The age of the oldest run, in days; the others follow evenly until now. */
export const OLDEST_DAYS = 90
const ROWS_AT_ONCE = 250_000

/**
 * Runs and cooldown rows as years of work would leave them, written straight into the tables. The planner's statistics
 * and the visibility map are then as autovacuum would have made them by and by.
 */
export async function fillLedger(url: string, schema: string, runs: number): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const own = pg.escapeIdentifier(schema)
  try {
    await inSteps(runs, (from, to) =>
      client.query(
        `insert into ${own}.operation_run
           (created_at, started_at, completed_at, fence, id, identity, work_key, worker_id, attempt, delivery_attempt,
            delivery_maximum, total, processed, failed, status, outcome, workspace_id, tenant_id, type, delivery_id)
         select at, at, at + interval '1 second', 1, md5('run' || n)::uuid, md5('work' || n)::uuid, md5('work' || n)::uuid,
                md5('worker')::uuid, 1, 1, 3, 1, 1, 0, 'completed', 'succeeded', $3, 'tenant-' || n % $4::int, $5, 'old-' || n
         from generate_series($1::int, $2::int) as n,
              lateral (select now() - $6::int * interval '1 day' * (1 - n / $7::float8) as at) as time`,
        [from, to, WORKSPACE, TENANTS, TYPE, OLDEST_DAYS, runs],
      ),
    )
    await inSteps(Math.ceil(runs / 5), (from, to) =>
      client.query(
        `insert into ${own}.job_claim
           (identity, work_key, lock_key, fence, claimed_at, settled_at, cooldown_until, worker_id, run_id, state, delivery_id)
         select md5('work' || n)::uuid, md5('work' || n)::uuid, n, 1, now(), now(), now() + interval '1 day',
                md5('worker')::uuid, md5('run' || n)::uuid, 'cooling', 'old-' || n
         from generate_series($1::int, $2::int) as n`,
        [from, to],
      ),
    )
    await client.query(`vacuum analyze ${own}.operation_run`)
    await client.query(`vacuum analyze ${own}.job_claim`)
    await client.query('checkpoint').catch(() => {})
  } finally {
    await client.end()
  }
}

async function inSteps(rows: number, insert: (from: number, to: number) => Promise<unknown>): Promise<void> {
  for (let from = 1; from <= rows; from += ROWS_AT_ONCE) {
    await insert(from, Math.min(rows, from + ROWS_AT_ONCE - 1))
  }
}
