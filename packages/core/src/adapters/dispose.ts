import { DatabaseUnavailableError, LedgerClosedError } from '../errors.ts'
import type { Operation } from '../operation/operation.ts'
import type { Delivery } from '../run/delivery.ts'
import type { Run } from '../run/run.ts'
import type { SkipReason } from '../run/verdict.ts'

/** Nothing was executed and nobody said how long to wait: longer than a poll, shorter than a queue's own retry. */
const DEFAULT_POSTPONE_MS = 1_000

/** A delivery that was acknowledged without executing: what a queue keeps of it. */
export interface SkippedJob {
  readonly skipped: SkipReason
  /** The run to look at. */
  readonly run: string | null
}

/** What a queue should do with a delivery: the one mapping that all adapters share. */
export type Disposition<R> =
  | { readonly action: 'complete'; readonly run: Run; readonly value: R }
  | { readonly action: 'skip'; readonly output: SkippedJob }
  /** Deliver again after `delayMs`, without spending an attempt. */
  | { readonly action: 'postpone'; readonly delayMs: number }
  | {
      readonly action: 'fail'
      readonly run: Run
      readonly error: unknown
      /** No retry is wanted, whatever attempts are left. */
      readonly isTerminal: boolean
    }

/**
 * A ledger that was closed first, or a database that is away, executed nothing: no attempt is spent.
 * @throws what else comes before executing; it is a mistake of the host's, and its queue's failure
 */
export async function dispose<P, R>(
  operation: Operation<P, R>,
  payload: P,
  delivery: Delivery,
): Promise<Disposition<Awaited<R>>> {
  const conclusion = await operation.conclude(payload, delivery).catch((error: unknown) => {
    if (error instanceof LedgerClosedError || error instanceof DatabaseUnavailableError) return null
    throw error
  })
  if (conclusion === null) return { action: 'postpone', delayMs: DEFAULT_POSTPONE_MS }
  if (!conclusion.executed) {
    const { action, reason, retryAfterMs, run } = conclusion
    if (action === 'retry_later') return { action: 'postpone', delayMs: retryAfterMs }
    return { action: 'skip', output: { skipped: reason, run: run?.id ?? null } }
  }
  const { run } = conclusion
  if (!conclusion.threw) return { action: 'complete', run, value: conclusion.value }
  if (conclusion.isHandedBack) return { action: 'postpone', delayMs: 0 }
  return { action: 'fail', run, error: conclusion.error, isTerminal: run.status === 'completed' }
}
