import { v7 } from 'uuid'
import { publish } from '../events.ts'
import type { RunClaim } from '../guard/guard.ts'
import { createCountBook } from '../run/counts.ts'
import type { Delivery } from '../run/delivery.ts'
import type { JobIdentity } from '../run/identity.ts'
import type { Run } from '../run/run.ts'
import { runningRun } from '../run/running-run.ts'
import type { Settlement } from '../run/settlement.ts'
import type { Conclusion } from '../run/verdict.ts'
import type { Runtime } from '../runtime.ts'
import type { Execution } from '../worker/executions.ts'
import type { OperationPlan } from './operation-plan.ts'
import type { ProgressReporter } from './progress-reporter.ts'
import { isSecured, runAttempt, standsAlready } from './run-attempt.ts'
import { createRunTransaction, withTransaction } from './run-transaction.ts'

interface Job<P> {
  readonly payload: P
  readonly delivery: Delivery
  readonly job: JobIdentity
  readonly context: unknown
}

/** Admission, the handler, settlement: one delivery from arrival to verdict. */
export async function executeDelivery<P, R>(
  runtime: Runtime,
  reporter: ProgressReporter,
  plan: OperationPlan<P, R>,
  asked: Job<P>,
): Promise<Conclusion<Awaited<R>>> {
  const { delivery, job, context } = asked
  const { schema } = runtime
  for (;;) {
    const admission = await plan.guard.admit({ job, newRunId: v7(), delivery, context })
    if (!admission.admitted) {
      const { refusal } = admission
      const runId = refusal.run?.id ?? null
      publish('opsledger:run.skipped', {
        schema,
        type: plan.type,
        scope: job.scope,
        deliveryId: delivery.id,
        runId,
        refusal,
      })
      return refusal
    }
    const execution = runtime.executions.add(admission.claim, plan.guard, createCountBook())
    try {
      if (!standsAlready(runtime, execution) && !(await isSecured(runtime, execution))) continue
      return await executeAttempt(runtime, reporter, plan, execution, admission.claim, asked)
    } finally {
      runtime.executions.remove(execution)
    }
  }
}

async function executeAttempt<P, R>(
  runtime: Runtime,
  reporter: ProgressReporter,
  plan: OperationPlan<P, R>,
  execution: Execution,
  claim: RunClaim,
  { payload, delivery, job }: Job<P>,
): Promise<Conclusion<Awaited<R>>> {
  const { book: counts, signal } = execution
  const { runId, attempt, fence } = claim
  const run = runningRun(claim, job, delivery)
  const handled = withTransaction(run, createRunTransaction(runtime, execution, plan.cooldownMs))
  const fields = {
    schema: runtime.schema,
    type: plan.type,
    scope: job.scope,
    deliveryId: delivery.id,
    runId,
    attempt,
    fence,
  }
  publish('opsledger:run.admitted', fields)
  const stopReporting = reporter.watch(execution)
  const { ending, settlement, reply, isHandedBack, durationMs } = await runAttempt(
    runtime,
    execution,
    delivery,
    plan.cooldownMs,
    () => plan.handler({ payload, run: handled, fence, signal, counts, delivery }),
  )
  stopReporting()
  publish('opsledger:run.settled', { ...fields, settlement, answer: reply.answer, durationMs })
  const settled = {
    executed: true,
    run: settledRun(run, settlement, reply.completedAt),
    settlement: reply.answer,
  } as const
  return 'error' in ending
    ? { ...settled, threw: true, error: ending.error, isHandedBack }
    : { ...settled, threw: false, value: ending.value }
}

function settledRun(run: Run, settlement: Settlement, completedAt: Date | null): Run {
  const { status, outcome, counts, itemFailures, reasonCode, message } = settlement
  return { ...run, status, outcome, counts, itemFailures, reasonCode, message, completedAt }
}
