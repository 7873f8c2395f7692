import { createRedactor, describeFailure, type Operation } from '@opsledger/core'
import type { JobResult, JobWithMetadata } from 'pg-boss'
import { isHandedBack, postpone, type Queue } from './postpone.ts'

/** A handler for `boss.work` with `includeMetadata` and `perJobResults`. */
export function deliver<P extends object, R>(queue: Queue, operation: Operation<P, R>) {
  const redactor = createRedactor()
  const deliverOne = async (job: JobWithMetadata<P>): Promise<JobResult> => {
    const { id, retryCount, retryLimit, signal } = job
    try {
      const delivery = { id, attempt: retryCount + 1, maxAttempts: retryLimit + 1, signal }
      const verdict = await operation(job.data, delivery)
      if (verdict.executed) return { id, status: 'completed', output: { run: verdict.run.id } }
      if (verdict.action === 'retry_later') await postpone(queue, job, verdict.retryAfterMs)
      return { id, status: 'completed', output: { skipped: verdict.reason, run: verdict.run?.id ?? null } }
    } catch (error) {
      if (isHandedBack(error)) await postpone(queue, job, 0)
      // pg-boss would store the error with all its fields, secrets too: it gets what the ledger keeps.
      const failure = describeFailure(error, redactor)
      return { id, status: failure.permanent ? 'deadletter' : 'failed', output: failure }
    }
  }
  return (jobs: JobWithMetadata<P>[]) => Promise.all(jobs.map(deliverOne))
}
