import type { Failure } from '../failure/describe-failure.ts'
import type { CountBook } from './counts.ts'
import type { Counts, RunOutcome } from './run.ts'

/** How an attempt ended: what the ledger is told, and whether a cooldown starts. */
export interface Settlement {
  /** `retrying`: the queue will deliver again; nothing is decided yet. */
  readonly status: 'completed' | 'retrying'
  readonly outcome: RunOutcome
  readonly counts: Counts
  readonly itemFailures: Readonly<Record<string, number>>
  readonly reasonCode: string | null
  readonly message: string | null
  /** Terminal success or failure: the one thing that starts a cooldown. */
  readonly startsCooldown: boolean
}

/** The handler returned: the counts say how it went. All failed, and more than none, is a failure. */
export function settlementOfReturn(book: CountBook): Settlement {
  const counts = book.result()
  const isAllFailed = counts.failed > 0 && counts.failed === counts.processed
  return {
    status: 'completed',
    outcome: isAllFailed ? 'failed' : counts.failed > 0 ? 'partially_succeeded' : 'succeeded',
    counts,
    itemFailures: { ...book.itemFailures },
    reasonCode: isAllFailed ? 'items.all_failed' : null,
    message: isAllFailed ? `All ${counts.failed} processed items failed.` : null,
    startsCooldown: true,
  }
}

/** The handler threw. `isTerminal`: no retry will come. */
export function settlementOfFailure(book: CountBook, failure: Failure, isTerminal: boolean): Settlement {
  const isCancelled = failure.reasonCode === 'run.cancelled'
  const isCompleted = isTerminal || isCancelled
  return {
    status: isCompleted ? 'completed' : 'retrying',
    outcome: isCancelled ? 'cancelled' : isCompleted ? 'failed' : 'pending',
    counts: book.result(),
    itemFailures: { ...book.itemFailures },
    reasonCode: failure.reasonCode,
    message: failure.message,
    startsCooldown: isCompleted && !isCancelled,
  }
}
