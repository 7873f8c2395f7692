import { InvalidOptionError } from '../errors.ts'
import type { Operation } from '../operation/operation.ts'
import { dispose } from './dispose.ts'

/** What is used of a pg-boss `JobWithMetadata`. */
export interface PgBossJob<P> {
  readonly id: string
  readonly name: string
  readonly data: P
  readonly retryCount: number
  readonly retryLimit: number
  readonly signal: AbortSignal
}

/** What is used of a pg-boss `IDatabase`. */
export interface PgBossDatabase {
  // biome-ignore lint/suspicious/noExplicitAny: as pg-boss declares it
  executeSql(text: string, values?: unknown[]): Promise<{ rows: any[] }>
}

/** What `beginTransaction` of pg-boss's own database gives. */
export interface PgBossTransaction {
  readonly db: PgBossDatabase
  commit(): Promise<void>
  rollback(): Promise<void>
}

/** What is used of a `PgBoss`. */
export interface PgBossQueue {
  /** A host's own `db` may lack `beginTransaction`, and is refused. */
  getDb(): PgBossDatabase & { beginTransaction?(): Promise<PgBossTransaction> }
  /** Only while the job is at that attempt; the answer says how many it `affected`. */
  cancel(
    name: string,
    attempt: { id: string; retryCount: number },
    options: { db: PgBossDatabase },
  ): Promise<object>
  /** Makes a cancelled job wait to be fetched again. */
  resume(name: string, id: string, options: { db: PgBossDatabase }): Promise<unknown>
  /** `startAfter` in seconds. */
  update(
    name: string,
    data: undefined,
    options: { id: string; startAfter: number; retryLimit: number; db: PgBossDatabase },
  ): Promise<unknown>
}

/** What pg-boss stores of one job of a batch. */
export interface PgBossJobResult {
  readonly id: string
  readonly status: 'completed' | 'failed' | 'deadletter'
  readonly output: object
}

/**
 * A handler for `boss.work`, which must be told `includeMetadata` and `perJobResults`:
 *
 * ```ts
 * const options = { includeMetadata: true, perJobResults: true } as const
 * await boss.work('fetch', options, pgBossHandler(boss, operations.fetch))
 *
 * async function stop() {
 *   const drained = boss.offWork('fetch') // takes no more
 *   await ledger.close() // stops what runs: it goes back to the queue, no attempt is spent
 *   await drained
 *   await boss.stop()
 * }
 * ```
 *
 * - *Executed*, or skipped with nothing lost: `completed`. The output names the run; what the handler returned is not
 *   stored, because one value that is no JSON would fail its whole batch.
 * - *Retry later*, handed back by a shutdown, or aborted before the handler began: see `postponePgBossJob`.
 * - *Failed*: `failed`, and `deadletter` when no retry is wanted: without a dead letter queue that is the end of the
 *   job. The output is what the ledger keeps of the error.
 * - pg-boss aborts the handler's signal when the job expires, when its heartbeat finds the job gone, and at
 *   `boss.stop`; what a handler that has begun then throws is a failed attempt. Close the ledger first, as above.
 *
 * What pg-boss does without asking: a job that runs longer than `expireInSeconds` fails there and is delivered again;
 * while its first execution still runs, it is refused and postponed.
 *
 * @throws InvalidOptionError for a `db` of the host's own that cannot `beginTransaction`
 */
export function pgBossHandler<P, R>(
  boss: PgBossQueue,
  operation: Operation<P, R>,
): (jobs: PgBossJob<P>[]) => Promise<PgBossJobResult[]> {
  if (boss.getDb().beginTransaction === undefined) {
    throw new InvalidOptionError(
      'boss',
      boss,
      'a PgBoss whose `db` has `beginTransaction`, as its own one has',
    )
  }
  const handle = async (job: PgBossJob<P>): Promise<PgBossJobResult> => {
    const { id, data, retryCount, retryLimit, signal } = job
    const delivery = { id, attempt: retryCount + 1, maxAttempts: retryLimit + 1, signal }
    const disposition = await dispose(operation, data, delivery)
    switch (disposition.action) {
      case 'complete':
        return { id, status: 'completed', output: { run: disposition.run.id } }
      case 'skip':
        return { id, status: 'completed', output: disposition.output }
      case 'postpone':
        await postponePgBossJob(boss, job, disposition.delayMs)
        // The job is no longer this attempt's: pg-boss ignores the answer.
        return { id, status: 'failed', output: { postponed: true } }
      case 'fail': {
        const { run, isTerminal } = disposition
        const output = { run: run.id, reasonCode: run.reasonCode, message: run.message }
        return { id, status: isTerminal ? 'deadletter' : 'failed', output }
      }
    }
  }
  return async (jobs: PgBossJob<P>[]): Promise<PgBossJobResult[]> => {
    const results = await Promise.allSettled(jobs.map(handle))
    return results.map((result, index) => {
      if (result.status === 'fulfilled') return result.value
      if (jobs.length === 1) throw result.reason
      // One delivery that could not begin must not fail those beside it, which did.
      return { id: jobs[index]!.id, status: 'failed', output: { message: messageOf(result.reason) } }
    })
  }
}

/**
 * Puts a job that is being worked on back for `delayMs`, without spending an attempt. pg-boss has no call for that, so
 * it is three in one transaction. The next fetch counts as a retry whatever came before: one more is allowed instead,
 * which leaves as many attempts as there were, with higher numbers. Whoever holds the job by now keeps it: `cancel`
 * is limited to the attempt that was fetched. What the handler answers for this job afterwards changes nothing.
 */
export async function postponePgBossJob(
  boss: PgBossQueue,
  { id, name, retryCount, retryLimit }: Pick<PgBossJob<unknown>, 'id' | 'name' | 'retryCount' | 'retryLimit'>,
  delayMs: number,
): Promise<void> {
  const transaction = await boss.getDb().beginTransaction!()
  const { db } = transaction
  try {
    // The declared type of the answer is empty.
    const { affected } = (await boss.cancel(name, { id, retryCount }, { db })) as { affected: number }
    if (affected > 0) {
      await boss.resume(name, id, { db })
      const startAfter = delayMs / 1_000
      await boss.update(name, undefined, { id, startAfter, retryLimit: retryLimit + 1, db })
    }
    await transaction.commit()
  } catch (error) {
    await transaction.rollback()
    throw error
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
