import type { Operation } from '../operation/operation.ts'
import { dispose, type SkippedJob } from './dispose.ts'
import { JobFailedError } from './job-failed-error.ts'

export type { SkippedJob } from './dispose.ts'
export { JobFailedError } from './job-failed-error.ts'

/** What is used of a BullMQ `Job`. */
export interface BullMqJob<P> {
  readonly id?: string
  readonly queueName: string
  readonly data: P
  /** When it was added, in ms. */
  readonly timestamp: number
  readonly attemptsMade: number
  readonly opts: { readonly attempts?: number }
  /** Until `timestamp`, in ms since 1970; `token` is that of the lock under which the worker has the job. */
  moveToDelayed(timestamp: number, token?: string): Promise<void>
}

/** What BullMQ keeps as the return value of a job that executed; jobs of a flow read it. */
export interface ExecutedJob<R> {
  readonly run: string
  readonly value: R
}

/**
 * The processor of a BullMQ worker:
 *
 * ```ts
 * const worker = new Worker('fetch', bullMqProcessor(operations.fetch), { connection })
 * worker.on('error', log)
 *
 * async function stop() {
 *   const closed = worker.close() // takes no more
 *   await ledger.close() // stops what runs: it goes back to the queue, no attempt is spent
 *   await closed
 * }
 * ```
 *
 * - *Executed*, or skipped with nothing lost: the job completes.
 * - *Retry later*, handed back by a shutdown, or cancelled before the handler began: `moveToDelayed`, which spends no
 *   attempt.
 * - *Failed*: an error with the ledger's message; `UnrecoverableError` when no retry is wanted. Its `cause` is what the
 *   handler threw, and stays in this process.
 * - `worker.cancelJob` aborts the handler's signal; what a handler that has begun then throws is a failed attempt.
 *
 * What BullMQ does without asking, and this cannot map: a job that stalled more than `maxStalledCount` times fails
 * without being delivered (the ledger's sweep closes its run); `maxStartedAttempts` counts postponed deliveries too
 * (leave it unset); a custom back-off that answers -1 ends a job that the ledger still shows as `retrying`, until the
 * sweep.
 */
export function bullMqProcessor<P, R>(
  operation: Operation<P, R>,
): (
  job: BullMqJob<P>,
  token: string | undefined,
  signal: AbortSignal | undefined,
) => Promise<ExecutedJob<Awaited<R>> | SkippedJob> {
  // BullMQ makes a signal only for a processor that declares three parameters.
  return async (job, token, signal) => {
    const { id, queueName, timestamp, attemptsMade, opts, data } = job
    const disposition = await dispose(operation, data, {
      // BullMQ counts from 1 again when its Redis is emptied. Queue names hold no colon.
      id: `${queueName}:${timestamp}:${id}`,
      attempt: attemptsMade + 1,
      // 0, which is BullMQ's default, means one attempt as well.
      maxAttempts: Math.max(1, opts.attempts ?? 1),
      signal,
    })
    switch (disposition.action) {
      case 'complete':
        return { run: disposition.run.id, value: disposition.value }
      case 'skip':
        return disposition.output
      case 'postpone': {
        // Where this fails (the lock is gone, Redis is away) the job stays as it is: its stalled check delivers it
        // again. To throw the failure instead would spend an attempt, perhaps the last.
        await job.moveToDelayed(Date.now() + disposition.delayMs, token).catch(() => {})
        throw named('DelayedError', new Error('bullmq:movedToDelayed'))
      }
      case 'fail': {
        const error = new JobFailedError(disposition.run, disposition.error)
        throw disposition.isTerminal ? named('UnrecoverableError', error) : error
      }
    }
  }
}

/** BullMQ knows its own errors by their names too. */
function named(name: string, error: Error): Error {
  error.name = name
  return error
}
