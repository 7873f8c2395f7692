import { v7 } from 'uuid'
import { ClaimLostError, LedgerClosedError } from '../errors.ts'
import { publish } from '../events.ts'
import { describeFailure, type Failure } from '../failure/describe-failure.ts'
import { createCountBook } from '../run/counts.ts'
import { assertDelivery, type Delivery, isLastAttempt } from '../run/delivery.ts'
import type { JobIdentity } from '../run/identity.ts'
import type { Run } from '../run/run.ts'
import { runningRun } from '../run/running-run.ts'
import { type Settlement, settlementOfFailure, settlementOfReturn } from '../run/settlement.ts'
import type { Verdict } from '../run/verdict.ts'
import type { Runtime } from '../runtime.ts'
import type { Execution } from '../worker/executions.ts'
import type { OperationPlan } from './operation-plan.ts'
import type { ProgressReporter } from './progress-reporter.ts'

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
  { payload, delivery, job, context }: Job<P>,
): Promise<Verdict<Awaited<R>>> {
  assertDelivery(delivery)
  const { schema } = runtime
  for (;;) {
    const admission = await plan.guard.admit({ job, newRunId: v7(), delivery, context })
    if (!admission.admitted) {
      const { refusal } = admission
      const runId = refusal.run?.id ?? null
      publish('opsledger:run.skipped', { schema, type: plan.type, runId, refusal })
      return refusal
    }
    const execution = runtime.executions.add(admission.claim, plan.guard, createCountBook())
    try {
      if (!(await isSecured(runtime, execution))) continue
      return await executeAttempt(runtime, reporter, plan, execution, job, payload, delivery)
    } finally {
      runtime.executions.remove(execution)
    }
  }
}

/** False when the claim was taken before it began: nothing was executed, and it asks again like any newcomer. */
async function isSecured(runtime: Runtime, execution: Execution): Promise<boolean> {
  let isReady = false
  try {
    await runtime.term.secure(execution, runtime.admissionTimeoutMs)
    isReady = !execution.isLost
    return isReady
  } finally {
    if (!isReady) execution.guard.abandon(execution.claim)
  }
}

async function executeAttempt<P, R>(
  runtime: Runtime,
  reporter: ProgressReporter,
  plan: OperationPlan<P, R>,
  execution: Execution,
  job: JobIdentity,
  payload: P,
  delivery: Delivery,
): Promise<Verdict<Awaited<R>>> {
  const { claim, book, signal } = execution
  const run = runningRun(claim, job, delivery)
  const { schema } = runtime
  const fields = { schema, type: plan.type, runId: claim.runId, attempt: claim.attempt, fence: claim.fence }
  publish('opsledger:run.admitted', fields)
  const stopForwarding = forwardAbort(delivery.signal, execution)
  const stopReporting = reporter.watch(execution)
  const beganAt = performance.now()

  let settlement: Settlement
  let ending: { value: Awaited<R> } | { error: unknown }
  try {
    const value = await plan.handler({ payload, run, fence: claim.fence, signal, counts: book, delivery })
    settlement = settlementOfReturn(book)
    ending = { value }
  } catch (error) {
    const handedBack = handBack(signal)
    const failure = handedBack ?? describeFailure(error, runtime.redactor)
    const isTerminal = handedBack === null && (failure.permanent || isLastAttempt(delivery))
    settlement = settlementOfFailure(book, failure, isTerminal)
    ending = { error }
  }
  book.close()
  stopReporting()
  stopForwarding()

  const reply = await plan.guard.settle(claim, settlement, plan.cooldownMs)
  const durationMs = performance.now() - beganAt
  publish('opsledger:run.settled', { ...fields, settlement, answer: reply.answer, durationMs })
  if ('error' in ending) throw ending.error
  const settled = settledRun(run, settlement, reply.completedAt)
  return { executed: true, run: settled, value: ending.value, settlement: reply.answer }
}

/** An attempt that this library stopped is not the host's failure: it goes back to the queue, whatever its number. */
function handBack(signal: AbortSignal): Failure | null {
  if (!signal.aborted) return null
  const { reason } = signal
  if (reason instanceof LedgerClosedError) {
    return {
      reasonCode: 'worker.shutdown',
      message: 'The worker shut down and handed the job back.',
      permanent: false,
    }
  }
  if (reason instanceof ClaimLostError) {
    return { reasonCode: 'claim.lost', message: reason.message, permanent: false }
  }
  return null
}

function forwardAbort(from: AbortSignal | undefined, execution: Execution): () => void {
  if (from === undefined) return () => {}
  const forward = () => execution.abort(from.reason)
  if (from.aborted) forward()
  from.addEventListener('abort', forward, { once: true })
  return () => from.removeEventListener('abort', forward)
}

function settledRun(run: Run, settlement: Settlement, completedAt: Date | null): Run {
  const { status, outcome, counts, itemFailures, reasonCode, message } = settlement
  return { ...run, status, outcome, counts, itemFailures, reasonCode, message, completedAt }
}
