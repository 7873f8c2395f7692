import { LedgerClosedError } from '../errors.ts'
import { type Delivery, exactDelivery } from '../run/delivery.ts'
import type { JobIdentity } from '../run/identity.ts'
import type { Conclusion, Verdict } from '../run/verdict.ts'
import type { Runtime } from '../runtime.ts'
import { executeDelivery } from './execute-delivery.ts'
import { type Opened, openRun } from './open-run.ts'
import type { OperationPlan } from './operation-plan.ts'
import type { ProgressReporter } from './progress-reporter.ts'

/** A guarded, ledgered handler: call it with each delivery of the host's queue. */
export interface Operation<P, R> {
  /**
   * Executes the delivery, or says why not. What the handler throws is thrown unchanged, after it was settled. The
   * reason of `delivery.signal`, when that aborts before the handler has begun: nothing was executed.
   * @throws InvalidOptionError, MissingIdentityError, ScopeMismatchError, DatabaseUnavailableError before executing
   */
  (payload: P, delivery: Delivery): Promise<Verdict<Awaited<R>>>
  readonly type: string
  /** The same, for adapters: what the handler throws is part of the answer. @throws what comes before executing */
  conclude(payload: P, delivery: Delivery): Promise<Conclusion<Awaited<R>>>
  /** For dispatchers: one open run per work, whoever asks how often. */
  open(payload: P): Promise<Opened>
  /** What this payload is claimed as; for `explain` and `release`. */
  identify(payload: P): JobIdentity
}

/** @throws InvalidOptionError */
export function createOperation<P, R>(
  runtime: Runtime,
  reporter: ProgressReporter,
  plan: OperationPlan<P, R>,
): Operation<P, R> {
  const begin = async (payload: P, signal?: AbortSignal) => {
    const job = plan.identify(payload)
    const context = plan.contextOf(payload)
    if (runtime.isClosed()) throw new LedgerClosedError()
    signal?.throwIfAborted()
    await runtime.ready()
    signal?.throwIfAborted()
    return { job, context }
  }
  const conclude = async (payload: P, given: Delivery) => {
    const delivery = exactDelivery(given)
    const { job, context } = await begin(payload, delivery.signal)
    return executeDelivery(runtime, reporter, plan, { payload, delivery, job, context })
  }
  const call = async (payload: P, delivery: Delivery): Promise<Verdict<Awaited<R>>> => {
    const conclusion = await conclude(payload, delivery)
    if (!conclusion.executed) return conclusion
    if (conclusion.threw) throw conclusion.error
    const { executed, run, value, settlement } = conclusion
    return { executed, run, value, settlement }
  }
  const open = async (payload: P) => {
    const { job, context } = await begin(payload)
    return openRun(runtime, plan.guard, job, context)
  }
  return Object.assign(call, { type: plan.type, conclude, open, identify: plan.identify })
}
