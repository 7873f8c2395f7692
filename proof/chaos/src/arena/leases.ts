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

/**
 * While some workers live undisturbed: each renews its lease five times as long as it lasts, so the newest renewal
 * reaches nearly a lease ahead. One that reaches less far is a lease that is shorter than was told.
 */
export async function leasesTooShort(pool: pg.Pool, leaseMs: number): Promise<string[]> {
  const { rows } = await pool.query<{ ms: number | null }>(
    `select extract(epoch from max(expires_at) - clock_timestamp())::float8 * 1000 as ms
     from opsledger.worker_lease where retired_at is null`,
  )
  const longestMs = rows[0]?.ms ?? null
  if (longestMs === null || longestMs >= leaseMs * 0.75) return []
  return [`no lease reaches further ahead than ${Math.round(longestMs)} of ${leaseMs} ms`]
}
