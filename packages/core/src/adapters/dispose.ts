import { OpsLedgerError } from '../errors.ts'
import type { Operation } from '../operation/operation.ts'
import type { Delivery } from '../run/delivery.ts'
import type { Run } from '../run/run.ts'
import type { SkipReason } from '../run/verdict.ts'

/** Nothing was executed and nobody said how long to wait: longer than a poll, shorter than a queue's own retry. */
const DEFAULT_POSTPONE_MS = 1_000

/** What only an operator can mend takes longer, and should not be asked for by every job once a second. */
const OPERATOR_POSTPONE_MS = 30_000

/** By the code of an error that comes before anything is executed. */
const POSTPONED_MS: Readonly<Record<string, number>> = {
  ledger_closed: DEFAULT_POSTPONE_MS,
  database_unavailable: DEFAULT_POSTPONE_MS,
  lock_table_full: DEFAULT_POSTPONE_MS,
  database_refused: OPERATOR_POSTPONE_MS,
  transaction_pooler: OPERATOR_POSTPONE_MS,
  missing_migration: OPERATOR_POSTPONE_MS,
  newer_schema: OPERATOR_POSTPONE_MS,
}

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
 * What executed nothing spends no attempt: a ledger that was closed first, a database that is away, a signal that was
 * aborted first; nor what an operator has to mend, from a migration that is missing to a password that is wrong.
 * @throws what else comes before executing; it is a mistake in the host's code, and its queue's failure
 */
export async function dispose<P, R>(
  operation: Operation<P, R>,
  payload: P,
  delivery: Delivery,
): Promise<Disposition<Awaited<R>>> {
  const conclusion = await operation.conclude(payload, delivery).catch((error: unknown) => {
    const delayMs = error instanceof OpsLedgerError ? POSTPONED_MS[error.code] : undefined
    if (delayMs !== undefined) return { postponedMs: delayMs }
    if (delivery.signal?.aborted && error === delivery.signal.reason)
      return { postponedMs: DEFAULT_POSTPONE_MS }
    throw error
  })
  if ('postponedMs' in conclusion) return { action: 'postpone', delayMs: conclusion.postponedMs }
  if (!conclusion.executed) {
    const { action, reason, retryAfterMs, run } = conclusion
    if (action === 'retry_later') return { action: 'postpone', delayMs: retryAfterMs }
    return { action: 'skip', output: { skipped: reason, run: run?.id ?? null } }
  }
  const { run } = conclusion
  if (!conclusion.threw) return { action: 'complete', run, value: conclusion.value }
  if (run.outcome === 'succeeded' || run.outcome === 'partially_succeeded') {
    // Settled in its own transaction; what the handler did afterwards fails nothing. As it would be told if it came again.
    return { action: 'skip', output: { skipped: 'already_terminal', run: run.id } }
  }
  if (conclusion.isHandedBack) return { action: 'postpone', delayMs: 0 }
  return { action: 'fail', run, error: conclusion.error, isTerminal: run.status === 'completed' }
}
