import type { Operation } from '@opsledger/core'
import type { JobResult, JobWithMetadata } from 'pg-boss'
import { postpone, type Queue } from './postpone.ts'

/** A handler for `boss.work` with `includeMetadata` and `perJobResults`. */
export function deliver<P extends object, R>(queue: Queue, operation: Operation<P, R>) {
  const deliverOne = async (job: JobWithMetadata<P>): Promise<JobResult> => {
    const { id, retryCount, retryLimit, signal } = job
    const delivery = { id, attempt: retryCount + 1, maxAttempts: retryLimit + 1, signal }
    const conclusion = await operation.conclude(job.data, delivery)
    if (!conclusion.executed) {
      if (conclusion.action === 'retry_later') await postpone(queue, job, conclusion.retryAfterMs)
      return {
        id,
        status: 'completed',
        output: { skipped: conclusion.reason, run: conclusion.run?.id ?? null },
      }
    }
    const { run } = conclusion
    if (!conclusion.threw) return { id, status: 'completed', output: { run: run.id } }
    if (conclusion.isHandedBack) await postpone(queue, job, 0)
    // pg-boss would store the error with all its fields, secrets too: it gets what the ledger keeps.
    const output = { run: run.id, reasonCode: run.reasonCode, message: run.message }
    return { id, status: run.status === 'completed' ? 'deadletter' : 'failed', output }
  }
  return (jobs: JobWithMetadata<P>[]) => Promise.all(jobs.map(deliverOne))
}
