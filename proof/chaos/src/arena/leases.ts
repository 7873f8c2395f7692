import type pg from 'pg'

/**
 * While nobody has gone home yet: whoever was retired was retired by a contender, who may do it to an expired lease only.
 */
export async function leasesTakenTooEarly(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ id: string; early: string }>(
    'select id, (expires_at - retired_at)::text as early from opsledger.worker_lease where retired_at < expires_at',
  )
  return rows.map(({ id, early }) => `the lease ${id} was retired ${early} before it had run out`)
}
