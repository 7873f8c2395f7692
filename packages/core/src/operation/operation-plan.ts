import { InvalidOptionError } from '../errors.ts'
import type { Guard } from '../guard/guard.ts'
import { assertKnownOptions } from '../known-options.ts'
import type { Ledger } from '../ledger.ts'
import type { Recorder } from '../run/counts.ts'
import type { Delivery } from '../run/delivery.ts'
import { type JobIdentity, jobIdentity } from '../run/identity.ts'
import { assertText, exactScope, type Scope } from '../run/scope.ts'
import type { RunningRun } from './run-transaction.ts'

/** A type is part of an index key and of every list an operator reads. */
export const MAX_TYPE_LENGTH = 100

/** Longer than a queue's longest back-off, shorter than anybody waits before asking. */
export const DEFAULT_DELIVERY_LIMIT_MS = 24 * 60 * 60 * 1000

/** What a handler is given. */
export interface HandlerContext<P> {
  readonly payload: P
  /** The run as it was when the attempt began; its `transaction` commits host writes under the claim's fence. */
  readonly run: RunningRun
  /** The fencing token, to pass on to systems that can refuse an older one. */
  readonly fence: number
  /** Aborts when the claim is lost, the ledger shuts down, or the queue wants the job to stop; `reason` says which. */
  readonly signal: AbortSignal
  readonly counts: Recorder
  readonly delivery: Delivery
}

/** {@link OperationBasics}, and {@link WorkName}, which says what makes two payloads the same work. */
export type OperationOptions<P, R> = OperationBasics<P, R> & WorkName<P>

/** Which work a payload is. Every payload must say: a job that nothing tells from another is refused. */
export type WorkName<P> =
  | {
      /** What makes two payloads the same work; `fingerprint` of `@opsledger/dedupe` makes one. */
      readonly fingerprint: (payload: NoInfer<P>) => string
      /** The run id that the dispatcher put into the payload, when it did. */
      readonly runId?: (payload: NoInfer<P>) => string | null | undefined
    }
  | {
      /** The run id that the dispatcher put into every payload: without a `fingerprint`, it is the work. */
      readonly runId: (payload: NoInfer<P>) => string
      readonly fingerprint?: undefined
    }

/** The options of an operation beside what says which work a payload is. */
export interface OperationBasics<P, R> {
  /** What kind of work, such as `assignment.fetch`; at most 100 characters. */
  readonly type: string
  /** Whose work it is. Annotate its parameter: the payload's type comes from here. */
  readonly scope: (payload: P) => Scope
  /** Facts for operators, stored with the run as JSON of at most 16,384 characters. Not redacted: name what is safe. */
  readonly context?: (payload: NoInfer<P>) => unknown
  /**
   * Keeps two executions of one identity apart; made for this ledger. Without one, runs are recorded and fenced, and
   * nothing is refused.
   */
  readonly guard?: Guard
  /** How long the identity is refused after a terminal completion, in ms; 0 for never. @default the guard's */
  readonly cooldownMs?: number
  /** How long a run may wait for a delivery before a sweep closes it as `delivery.lost`, in ms. @default 24 hours */
  readonly deliveryLimitMs?: number
  readonly handler: (context: HandlerContext<P>) => R | Promise<R>
}

/** Work of a workspace that never overlaps itself and has no cooldown, such as a reconcile job. */
export interface SystemJobOptions<P, R> {
  /** What kind of work, such as `ops.reconcile_adapter_runs`; at most 100 characters. */
  readonly type: string
  /** With `type` it is the identity: nothing else of a payload tells two deliveries apart. */
  readonly workspaceId: (payload: P) => string
  /** The run id that the dispatcher put into the payload, when it did. It names the run, not what is claimed. */
  readonly runId?: (payload: NoInfer<P>) => string | null | undefined
  /** Facts for operators, stored with the run as JSON of at most 16,384 characters. Not redacted: name what is safe. */
  readonly context?: (payload: NoInfer<P>) => unknown
  /** One that excludes, made for this ledger. */
  readonly guard: Guard
  /** How long a run may wait for a delivery before a sweep closes it as `delivery.lost`, in ms. @default 24 hours */
  readonly deliveryLimitMs?: number
  readonly handler: (context: HandlerContext<P>) => R | Promise<R>
}

/** Everything of an operation that does not change from delivery to delivery, checked. */
export interface OperationPlan<P, R> {
  readonly type: string
  readonly guard: Guard
  readonly cooldownMs: number
  readonly handler: OperationOptions<P, R>['handler']
  contextOf(payload: P): unknown
  identify(payload: P): JobIdentity
}

/** @throws InvalidOptionError, above all when the guard is another ledger's */
export function planOperation<P, R>(
  options: OperationOptions<P, R>,
  ledger: Ledger,
  defaultGuard: Guard,
): OperationPlan<P, R> {
  assertOptions(
    'operation',
    options,
    ['scope', 'handler'],
    ['runId', 'fingerprint', 'context'],
    ['guard', 'cooldownMs'],
  )
  if (options.fingerprint === undefined && options.runId === undefined) {
    throw new InvalidOptionError(
      'fingerprint',
      undefined,
      'a function of the payload, unless `runId` is given',
    )
  }
  if (options.guard !== undefined) assertGuard(options.guard, ledger)
  const guard = options.guard ?? defaultGuard
  return {
    type: options.type,
    guard,
    cooldownMs: assertDuration('cooldownMs', options.cooldownMs ?? guard.cooldownMs),
    handler: options.handler,
    contextOf: (payload) => exactContext(options.context?.(payload) ?? null),
    identify(payload) {
      const fingerprint = options.fingerprint && exactFingerprint(options.fingerprint(payload))
      const scope = exactScope(options.scope(payload))
      return jobIdentity({ scope, type: options.type, runId: options.runId?.(payload), fingerprint })
    },
  }
}

/** @throws InvalidOptionError, above all when the guard does not exclude, or is another ledger's */
export function planSystemJob<P, R>(options: SystemJobOptions<P, R>, ledger: Ledger): OperationPlan<P, R> {
  assertOptions('systemJob', options, ['workspaceId', 'handler'], ['runId', 'context'], ['guard', 'scope'])
  if (options.guard?.excludes !== true) {
    throw new InvalidOptionError(
      'guard',
      options.guard,
      'a guard that excludes, such as `createGuard(ledger)`',
    )
  }
  assertGuard(options.guard, ledger)
  if ('scope' in options) {
    throw new InvalidOptionError(
      'scope',
      options.scope,
      'none: a system job belongs to a workspace, not a tenant',
    )
  }
  return {
    type: options.type,
    guard: options.guard,
    cooldownMs: 0,
    handler: options.handler,
    contextOf: (payload) => exactContext(options.context?.(payload) ?? null),
    identify: (payload) =>
      jobIdentity({
        scope: exactScope({ workspaceId: options.workspaceId(payload) }),
        type: options.type,
        runId: options.runId?.(payload),
        isSystem: true,
      }),
  }
}

/**
 * A guard admits and settles in the database, and under the term, of its own ledger: mixed with another's, its claims
 * would stand in one place and their runs in another.
 * @throws InvalidOptionError
 */
function assertGuard(guard: Guard, ledger: Ledger): void {
  const allowed = 'a guard that was made for this ledger, such as `createGuard(ledger)`'
  if (typeof guard?.admit !== 'function') throw new InvalidOptionError('guard', guard, allowed)
  if (guard.ledger !== ledger) {
    const problem = 'guard was made for another ledger; make one for this ledger, such as createGuard(ledger)'
    throw new InvalidOptionError('guard', problem)
  }
}

/**
 * What is no text, such as a promise, would make all work of a type the same.
 * @throws InvalidOptionError
 */
export function exactFingerprint(fingerprint: unknown): string | undefined {
  if (fingerprint === undefined || (typeof fingerprint === 'string' && fingerprint !== '')) return fingerprint
  throw new InvalidOptionError('fingerprint', fingerprint, 'a function that returns a non-empty string')
}

/** A few facts; a payload belongs into the queue. */
const MAX_CONTEXT_LENGTH = 16_384

/** As the database will give it back. @throws InvalidOptionError unless it is JSON that Postgres can store */
function exactContext(context: unknown): unknown {
  if (context === null) return null
  let text: string | undefined
  try {
    text = JSON.stringify(context)
  } catch {
    // refused below
  }
  if (
    text === undefined ||
    text.length > MAX_CONTEXT_LENGTH ||
    text.includes('\\u0000') ||
    !text.isWellFormed()
  ) {
    throw new InvalidOptionError(
      'context',
      context,
      `plain JSON of at most ${MAX_CONTEXT_LENGTH} characters, without NUL`,
    )
  }
  return JSON.parse(text)
}

/** @throws InvalidOptionError unless it is a whole number of milliseconds of at most 24 days (2^31 - 1) */
export function assertDuration(option: string, value: number, leastMs = 0): number {
  if (!Number.isInteger(value) || value < leastMs || value > 2_147_483_647) {
    throw new InvalidOptionError(
      option,
      value,
      `a whole number of milliseconds from ${leastMs} to 2147483647`,
    )
  }
  return value
}

function assertOptions<T extends object>(
  of: string,
  options: T & { type: string; deliveryLimitMs?: number },
  required: readonly (keyof T & string)[],
  optional: readonly (keyof T & string)[],
  others: readonly string[],
): void {
  assertKnownOptions(of, options, ['type', ...required, ...optional, ...others, 'deliveryLimitMs'])
  assertText('type', options.type, MAX_TYPE_LENGTH)
  for (const name of [...required, ...optional.filter((option) => options[option] !== undefined)]) {
    if (typeof options[name] !== 'function') throw new InvalidOptionError(name, options[name], 'a function')
  }
  assertDuration('deliveryLimitMs', options.deliveryLimitMs ?? DEFAULT_DELIVERY_LIMIT_MS, 1)
}
