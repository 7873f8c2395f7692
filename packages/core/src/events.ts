import { type Channel, channel } from 'node:diagnostics_channel'
import type { Refusal } from './guard/guard.ts'
import type { Run } from './run/run.ts'
import type { ExactScope } from './run/scope.ts'
import type { Settlement } from './run/settlement.ts'
import type { SettlementAnswer } from './run/verdict.ts'

/**
 * What is published, by channel. Messages hold ids, codes, counts, and of a failure what the ledger keeps of it (its
 * redacted message, never the error's own text); never a payload. A run comes with the host's own context.
 */
export interface LedgerEvents {
  /** A dispatcher asked for the run; `state` as in `Opened`. */
  'opsledger:run.opened': { schema: string; run: Run; state: string }
  /** Before the handler begins. */
  'opsledger:run.admitted': {
    schema: string
    type: string
    scope: ExactScope
    deliveryId: string
    runId: string
    attempt: number
    fence: number
  }
  /** A delivery was refused; `runId` is that of the run the refusal shows. */
  'opsledger:run.skipped': {
    schema: string
    type: string
    scope: ExactScope
    deliveryId: string
    runId: string | null
    refusal: Refusal
  }
  /** After the settlement; `durationMs` is that of the handler and the settlement together. */
  'opsledger:run.settled': {
    schema: string
    type: string
    scope: ExactScope
    deliveryId: string
    runId: string
    attempt: number
    fence: number
    settlement: Settlement
    answer: SettlementAnswer
    durationMs: number
  }
  /** A claim was lost: the signal of its handler is aborted with an error of this `code`. */
  'opsledger:run.aborted': { schema: string; runId: string | null; fence: number; code: string }
  /** A sweep of this process closed it. */
  'opsledger:run.swept': { schema: string; run: Run }
  /** This process has a lease; `previousWorkerId` is the term it replaces. */
  'opsledger:term.registered': { schema: string; workerId: string; previousWorkerId: string | null }
  /** The lease could not be renewed in time: a new term follows, and takes along what is still its own. */
  'opsledger:term.lost': { schema: string; workerId: string; why: string }
  /** `held`: locks that went with the connection. Nothing is aborted for that. */
  'opsledger:lock_session.lost': { schema: string; held: number }
  /** `relocked` of the `held` locks are back; the others are asked for again. */
  'opsledger:lock_session.restored': { schema: string; held: number; relocked: number }
  /** A call failed; `operation` is the schema's function, `code` a SQLSTATE or a code of Node's. */
  'opsledger:database.error': { schema: string; operation: string; code: string | null; willRetry: boolean }
}

/** A channel of `node:diagnostics_channel`. */
export type LedgerEventName = keyof LedgerEvents
/** Never throws, whatever a subscriber does. */
export type Publish = <N extends LedgerEventName>(name: N, message: LedgerEvents[N]) => void

const channels = new Map<string, Channel>()

/**
 * Publishes to `node:diagnostics_channel`. `Channel.publish` turns a subscriber that throws into an uncaught
 * exception, which would end the host's process over a broken metric; so subscribers are called one by one here, and
 * what they throw goes nowhere. Node keeps them in `_subscribers`; should that name ever change, `publish` is used.
 */
export const publish: Publish = (name, message) => {
  let target = channels.get(name)
  if (target === undefined) {
    target = channel(name)
    channels.set(name, target)
  }
  if (!target.hasSubscribers) return
  const { _subscribers } = target as Channel & { _subscribers?: unknown }
  if (!Array.isArray(_subscribers)) {
    target.publish(message)
    return
  }
  for (const subscriber of [..._subscribers]) {
    try {
      const answer: unknown = subscriber(message, name)
      if (answer instanceof Promise) answer.catch(() => {})
    } catch {
      // A broken listener harms nothing.
    }
  }
}
