import { CountError } from '../errors.ts'
import { assertReasonCode } from '../failure/reason-code.ts'
import type { Counts, Progress } from './run.ts'

/**
 * Different reason codes of failed items kept per run; further ones are counted under `items.other`. Enough to see
 * what went wrong, small enough for one row.
 */
export const MAX_ITEM_FAILURE_CODES = 32

/** Counts are 32-bit integers in the ledger. */
const MAX_COUNT = 2_147_483_647

/**
 * What a handler counts with, at any time during its attempt. Everything stays in memory; the ledger shows it as
 * progress and keeps it as the result when the attempt is settled. A new attempt starts from nothing.
 */
export interface Recorder {
  /** Items in scope. May be raised or lowered, not below what is counted already. */
  setTotal(total: number): void
  /** `items` is 1 unless given. @throws CountError when it would go beyond a set total */
  itemSucceeded(items?: number): void
  /** @param reasonCode why, such as `provider.rejected` @throws CountError when it would go beyond a set total */
  itemFailed(reasonCode: string, items?: number): void
  readonly progress: Progress
}

/** The recorder and the library's own view of it. */
export interface CountBook extends Recorder {
  readonly itemFailures: Record<string, number>
  /** The result: without a set total, what was processed is all there was. */
  result(): Counts
  /** Later calls throw: the attempt has ended and its counts are written. */
  close(): void
}

/** The counts of one attempt, from nothing. They live in memory alone until the attempt is settled. */
export function createCountBook(): CountBook {
  let total: number | null = null
  let processed = 0
  let failed = 0
  let isClosed = false
  const itemFailures: Record<string, number> = {}

  const assertOpen = () => {
    if (isClosed)
      throw new CountError('This attempt has ended; its counts are settled and can no longer change.')
  }
  const count = (items: number) => {
    assertOpen()
    assertCount('items', items)
    if (total !== null && processed + items > total) {
      throw new CountError(
        `${processed} of ${total} items are counted already, so ${items} more do not fit. ` +
          'Set a larger total first, or count each item once.',
      )
    }
    if (processed + items > MAX_COUNT) {
      throw new CountError(`${processed} items are counted already; the ledger holds ${MAX_COUNT} at most.`)
    }
    processed += items
  }

  return {
    setTotal(value) {
      assertOpen()
      assertCount('total', value)
      if (value < processed) {
        throw new CountError(`The total cannot be ${value}: ${processed} items are counted already.`)
      }
      total = value
    },
    itemSucceeded(items = 1) {
      count(items)
    },
    itemFailed(reasonCode, items = 1) {
      assertReasonCode('reasonCode', reasonCode)
      count(items)
      if (items === 0) return
      failed += items
      const isKept =
        Object.hasOwn(itemFailures, reasonCode) || Object.keys(itemFailures).length < MAX_ITEM_FAILURE_CODES
      const code = isKept ? reasonCode : 'items.other'
      itemFailures[code] = (itemFailures[code] ?? 0) + items
    },
    get progress() {
      return { total, processed, failed }
    },
    get itemFailures() {
      return itemFailures
    },
    result() {
      return { total: total ?? processed, processed, failed }
    },
    close() {
      isClosed = true
    },
  }
}

function assertCount(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > MAX_COUNT) {
    throw new CountError(`${name} is ${value}; allowed: a whole number from 0 to ${MAX_COUNT}`)
  }
}
