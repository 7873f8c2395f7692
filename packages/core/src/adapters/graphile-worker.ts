import type { Operation } from '../operation/operation.ts'
import { dispose } from './dispose.ts'
import { insist } from './insist.ts'
import { JobFailedError } from './job-failed-error.ts'

export { JobFailedError } from './job-failed-error.ts'

/** The failure that follows a job put off must not meet the same job locked again by the same pool. */
const MIN_DELAY_MS = 1_000

/** What is used of a graphile-worker `Job`. */
export interface GraphileWorkerJob {
  readonly id: string
  readonly attempts: number
  readonly max_attempts: number
  readonly revision: number
  readonly created_at: Date
  readonly locked_by: string | null
}

/** What is used of graphile-worker's `JobHelpers`. */
export interface GraphileWorkerHelpers {
  readonly job: GraphileWorkerJob
  readonly abortSignal: AbortSignal
  /** On a connection of the runner's pool, each call by itself. */
  query(text: string, values: unknown[]): Promise<unknown>
}

export interface GraphileWorkerOptions {
  /** Where graphile-worker keeps its tables. @default 'graphile_worker' */
  readonly schema?: string
}

/**
 * A task of a graphile-worker `taskList`:
 *
 * ```ts
 * const runner = await run({ pgPool, taskList: { fetch: graphileWorkerTask(operations.fetch) }, noHandleSignals: true })
 *
 * async function stop() {
 *   const stopped = runner.stop() // takes no more
 *   await ledger.close() // stops what runs: it goes back to the queue, no attempt is spent
 *   await stopped
 * }
 * ```
 *
 * - *Executed*, or skipped with nothing lost: the job completes, which deletes it. What the handler returns is dropped:
 *   graphile-worker would read an array as a batch's answer.
 * - *Failed*: an error with the ledger's message. When no retry is wanted, its attempts are used up first.
 * - *Retry later*, handed back by a shutdown, or aborted before the handler began: the job is freed with its attempt
 *   given back.
 * - Its shutdown signal aborts the handler's; what a handler that has begun then throws is a failed attempt. Close the
 *   ledger first, as above.
 *
 * What graphile-worker does not offer. A task can neither end its job for good nor put it off: `reschedule_jobs` and
 * `permanently_fail_jobs` leave locked jobs alone. Both are therefore an update of `_private_jobs` (and of the named
 * queue's row), limited to the lock this worker holds; these tables are no public interface. A job put off is freed
 * there, and then failed for graphile-worker, which finds nothing to write but logs and announces it as an error, on
 * its last attempt as `job:failed`. It comes back after a second at the soonest. An update that fails is made again for
 * ten seconds.
 *
 * What it does without asking. It writes the failure of a job without waiting for it, so a pool of its own is closed
 * before the last failures of a shutdown are written and those jobs stay locked: give it a `pgPool` and end that
 * yourself. Jobs of a process that died stay locked for four hours; the ledger's sweep sees that earlier.
 */
export function graphileWorkerTask<P, R>(
  operation: Operation<P, R>,
  { schema = 'graphile_worker' }: GraphileWorkerOptions = {},
): (payload: unknown, helpers: GraphileWorkerHelpers) => Promise<void> {
  const quoted = `"${schema.replaceAll('"', '""')}"`
  const jobs = `${quoted}._private_jobs`
  const queues = `${quoted}._private_job_queues`

  return async (payload: unknown, { job, abortSignal, query }: GraphileWorkerHelpers): Promise<void> => {
    const { id, attempts, max_attempts, revision, created_at, locked_by } = job
    const write = (text: string, values: unknown[]) => insist(() => query(text, values))
    const disposition = await dispose(operation, payload as P, {
      // Ids begin again with the schema; a job that its key replaced keeps its id and is another dispatch.
      id: `graphile-worker:${new Date(created_at).getTime()}:${id}:${revision}`,
      attempt: attempts,
      maxAttempts: max_attempts,
      signal: abortSignal,
    })
    if (disposition.action === 'postpone') {
      await write(
        `with freed as (
           update ${jobs}
           set attempts = greatest(attempts - 1, 0), locked_by = null, locked_at = null,
               run_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
           where id = $1 and locked_by = $2
           returning job_queue_id
         )
         update ${queues} as queue set locked_by = null, locked_at = null
         from freed where queue.id = freed.job_queue_id and queue.locked_by = $2`,
        [id, locked_by, Math.max(disposition.delayMs, MIN_DELAY_MS)],
      )
      // To return would complete the job, which deletes it whoever holds its lock.
      throw new Error('Postponed: this delivery is made again, no attempt was spent.')
    }
    if (disposition.action === 'fail') {
      if (disposition.isTerminal && attempts < max_attempts) {
        const text = `update ${jobs} set attempts = max_attempts where id = $1 and locked_by = $2`
        // Where this fails too, the job comes again and is skipped in the cooldown; the handler's failure is still told.
        await write(text, [id, locked_by]).catch(() => {})
      }
      throw new JobFailedError(disposition.run, disposition.error)
    }
  }
}
