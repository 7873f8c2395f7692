import type { Kysely } from 'kysely'
import { fromKysely, type JobWithMetadata, type PgBoss } from 'pg-boss'

export interface Queue {
  readonly boss: PgBoss
  /** The database that pg-boss keeps its jobs in. */
  // biome-ignore lint/suspicious/noExplicitAny: none of the host's tables are used
  readonly db: Kysely<any>
}

/**
 * Puts a job that is being worked on back for `delayMs`, without spending an attempt. pg-boss has no call for that, so
 * it is three in one transaction. The next fetch counts as a retry whatever came before: one more is allowed instead,
 * which leaves as many attempts as there were, with higher numbers. Whoever holds the job by now keeps it: `cancel`
 * is limited to the attempt that was fetched. What the handler answers for this job afterwards changes nothing.
 */
export async function postpone({ boss, db }: Queue, job: JobWithMetadata, delayMs: number): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const options = { db: fromKysely(trx) }
    // The declared type of the answer is empty.
    const { affected } = (await boss.cancel(job.name, job, options)) as { affected: number }
    if (affected === 0) return
    await boss.resume(job.name, job.id, options)
    const startAfter = delayMs / 1_000
    await boss.update(job.name, undefined, {
      id: job.id,
      startAfter,
      retryLimit: job.retryLimit + 1,
      ...options,
    })
  })
}
