import {
  type Delivery,
  InvalidOptionError,
  jobIdentity,
  LedgerClosedError,
  type Scope,
  type SettlementAnswer,
  type Verdict,
} from '@opsledger/core'
import {
  type Admission,
  type AdmissionRequest,
  assertDuration,
  assertKnownOptions,
  assertText,
  createCountBook,
  exactDelivery,
  exactFingerprint,
  exactScope,
  type Guard,
  isSecured,
  MAX_TYPE_LENGTH,
  type Runtime,
  runAttempt,
} from '@opsledger/core/guard'
import { v7 } from 'uuid'

/** What a protected handler is given: no run and no counts, because nothing is recorded. */
export interface ProtectContext<P> {
  readonly payload: P
  /** The fencing token, to pass on to systems that can refuse an older one. */
  readonly fence: number
  /** Aborts when the claim is lost, the ledger shuts down, or the queue wants the job to stop. */
  readonly signal: AbortSignal
  readonly delivery: Delivery
}

/** As an operation's, without what is about runs. */
export interface ProtectOptions<P, R> {
  /** What kind of work; at most 100 characters. */
  readonly type: string
  /** Whose work it is. Annotate its parameter: the payload's type comes from here. */
  readonly scope: (payload: P) => Scope
  /** What makes two payloads the same work. */
  readonly fingerprint: (payload: NoInfer<P>) => string
  /** How long the work is refused after a terminal completion, in ms; 0 for never. @default the guard's */
  readonly cooldownMs?: number
  readonly handler: (context: ProtectContext<P>) => R | Promise<R>
}

/** As a ledger's verdict, without runs. `already_terminal` and `not_canonical` are about runs and do not occur. */
export type ProtectVerdict<T> =
  | { readonly executed: true; readonly value: T; readonly settlement: SettlementAnswer }
  | Extract<Verdict<never>, { executed: false }>

/** @throws what the handler throws, unchanged; and what an operation throws before executing, as when it is aborted */
export type Protected<P, R> = (payload: P, delivery: Delivery) => Promise<ProtectVerdict<Awaited<R>>>

/** @throws InvalidOptionError */
export function protect<P, R>(
  runtime: Runtime,
  guard: Guard,
  admit: (request: AdmissionRequest) => Promise<Admission>,
  options: ProtectOptions<P, R>,
): Protected<P, R> {
  const known = ['type', 'scope', 'fingerprint', 'cooldownMs', 'handler']
  assertKnownOptions('protect', options, known)
  assertText('type', options.type, MAX_TYPE_LENGTH)
  for (const name of ['scope', 'fingerprint', 'handler'] as const) {
    if (typeof options[name] !== 'function') throw new InvalidOptionError(name, options[name], 'a function')
  }
  const cooldownMs = assertDuration('cooldownMs', options.cooldownMs ?? guard.cooldownMs)

  return async (payload, given) => {
    const delivery = exactDelivery(given)
    const job = jobIdentity({
      scope: exactScope(options.scope(payload)),
      type: options.type,
      fingerprint: exactFingerprint(options.fingerprint(payload)),
    })
    if (runtime.isClosed()) throw new LedgerClosedError()
    delivery.signal?.throwIfAborted()
    await runtime.ready()
    delivery.signal?.throwIfAborted()
    for (;;) {
      const admission = await admit({ job, newRunId: v7(), delivery, context: null })
      if (!admission.admitted) return admission.refusal
      const { claim } = admission
      const execution = runtime.executions.add(claim, guard, createCountBook())
      try {
        if (!(await isSecured(runtime, execution))) continue
        const context = { payload, fence: claim.fence, signal: execution.signal, delivery }
        const { ending, reply } = await runAttempt(runtime, execution, delivery, cooldownMs, () =>
          options.handler(context),
        )
        if ('error' in ending) throw ending.error
        return { executed: true, value: ending.value, settlement: reply.answer }
      } finally {
        runtime.executions.remove(execution)
      }
    }
  }
}
