import type { RunClaim } from '../guard/guard.ts'
import type { Delivery } from './delivery.ts'
import type { JobIdentity } from './identity.ts'
import type { Run } from './run.ts'

/** The run of an attempt in execution, from what its admission said: no read needed. */
export function runningRun(
  claim: RunClaim,
  job: JobIdentity,
  { id, attempt, maxAttempts }: Omit<Delivery, 'signal'>,
): Run {
  return {
    id: claim.runId,
    scope: job.scope,
    type: job.type,
    status: 'running',
    outcome: 'pending',
    attempt: claim.attempt,
    fence: claim.fence,
    workerId: claim.workerId,
    delivery: { id, attempt, maxAttempts },
    counts: null,
    itemFailures: {},
    progress: null,
    reasonCode: null,
    message: null,
    context: claim.context,
    pastAttempts: claim.pastAttempts,
    canonicalRunId: null,
    identity: claim.identity,
    workKey: claim.workKey,
    createdAt: claim.createdAt,
    startedAt: claim.startedAt,
    completedAt: null,
  }
}
