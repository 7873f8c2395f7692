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
  'opsledger:run.opened': { schema: string; run: Run; state: string }
  'opsledger:run.admitted': {
    schema: string
    type: string
    scope: ExactScope
    deliveryId: string
    runId: string
    attempt: number
    fence: number
  }
  'opsledger:run.skipped': {
    schema: string
    type: string
    scope: ExactScope
    deliveryId: string
    runId: string | null
    refusal: Refusal
  }
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
  'opsledger:run.aborted': { schema: string; runId: string | null; fence: number; code: string }
  'opsledger:run.swept': { schema: string; run: Run }
  'opsledger:term.registered': { schema: string; workerId: string; previousWorkerId: string | null }
  'opsledger:term.lost': { schema: string; workerId: string; why: string }
  'opsledger:lock_session.lost': { schema: string; held: number }
  'opsledger:lock_session.restored': { schema: string; held: number; relocked: number }
  'opsledger:database.error': { schema: string; operation: string; code: string | null; willRetry: boolean }
}

export type LedgerEventName = keyof LedgerEvents
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
