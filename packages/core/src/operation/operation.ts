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
   * Executes the delivery, or says why not. What the handler throws is thrown unchanged, after it was settled. When
   * `delivery.signal` aborts before the handler has begun, its reason is thrown and nothing was executed.
   * @throws before executing: InvalidOptionError, MissingIdentityError, ScopeMismatchError, DatabaseUnavailableError,
   * DatabaseRefusedError, MissingMigrationError, NewerSchemaError, LedgerClosedError; of `@opsledger/dedupe`
   * TransactionPoolerError, LockTableFullError
   */
  (payload: P, delivery: Delivery): Promise<Verdict<Awaited<R>>>
  readonly type: string
  /**
   * The same, for adapters: what the handler throws is part of the answer, and with it whether the attempt is to be
   * spent. It rejects only before the handler begins, with what the call itself throws then.
   */
  conclude(payload: P, delivery: Delivery): Promise<Conclusion<Awaited<R>>>
  /**
   * For dispatchers: one open run per work, whoever asks how often. It claims nothing.
   * @throws as the call does before executing
   */
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
    if (!runtime.isReady()) await runtime.ready()
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
