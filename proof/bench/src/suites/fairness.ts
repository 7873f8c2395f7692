import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '@opsledger/testing'
import pg from 'pg'
import { caseOf } from '../cases/index.ts'
import { quantile } from '../statistics.ts'
import type { Figures, Trial, TrialPlace } from '../trial.ts'

/** How long the batch beside the lone job is slow. */
const HELD_MS = 100
const BATCH = 256
const WARM_UP_JOBS = 50
/** The work whose claim is locked. */
const RETRIED = 0

/**
 * A lone job beside a slow batch: the claim row of one of the batch's identities is locked by somebody else, so its
 * statement waits. The lone job comes while it does; its time is told in that of the whole batch from then on.
 */
export async function measureFairness(trial: Trial, place: TrialPlace): Promise<Figures> {
  const prepare = await caseOf(trial.case).load()
  const subject = await prepare({
    ...place,
    handler: (index) => {
      if (index === RETRIED) throw new Error('to be retried')
    },
  })
  const pool = new pg.Pool({ connectionString: place.url, max: 2 })
  let next = RETRIED + 1
  const retried = () => subject.job(RETRIED).catch(() => {})
  const lone = async () => {
    const beganAt = performance.now()
    await subject.job(next++)
    return performance.now() - beganAt
  }
  await retried()
  const alone: number[] = []
  for (let n = 0; n < WARM_UP_JOBS; n++) await lone()
  for (const endAt = performance.now() + trial.measureMs / 2; performance.now() < endAt; ) {
    alone.push(await lone())
  }

  const delays: number[] = []
  const batches: number[] = []
  for (const endAt = performance.now() + trial.measureMs; performance.now() < endAt; ) {
    const release = await lockClaim(pool)
    const batch = Promise.all(
      Array.from({ length: BATCH }, (_, n) => (n === BATCH / 2 ? retried() : subject.job(next++))),
    )
    await untilBlocked(pool)
    const blockedAt = performance.now()
    const batchMs = batch.then(() => performance.now() - blockedAt)
    const loneMs = lone()
    await sleep(HELD_MS)
    await release()
    delays.push((await loneMs) / (await batchMs))
    batches.push(await batchMs)
  }
  await pool.end()
  await subject.close()
  return {
    p50Ms: quantile(alone, 0.5),
    p99Ms: quantile(alone, 0.99),
    slowBatchMs: quantile(batches, 0.5),
    medianDelayInBatches: quantile(delays, 0.5),
    worstDelayInBatches: Math.max(...delays),
  }
}

/** Of the work that fails and is retried, so its claim is free and the next delivery takes it. @returns what lets go */
async function lockClaim(pool: pg.Pool): Promise<() => Promise<void>> {
  const client = await pool.connect()
  await client.query('begin')
  await client.query(`
    select from opsledger.job_claim
    where identity = (select identity from opsledger.operation_run order by created_at limit 1)
    for update`)
  return async () => {
    await client.query('rollback')
    client.release()
  }
}

async function untilBlocked(pool: pg.Pool): Promise<void> {
  await eventually(
    async () => {
      const { rows } = await pool.query(`
        select count(*)::int as blocked from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`)
      if (rows[0].blocked === 0) throw new Error('the batch is not blocked')
    },
    { everyMs: 2 },
  )
}
