import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Failure } from '../src/failure/describe-failure.ts'
import { createCountBook } from '../src/run/counts.ts'
import { settlementOfFailure, settlementOfReturn } from '../src/run/settlement.ts'

function bookOf(total: number | null, succeeded: number, failed: number) {
  const book = createCountBook()
  if (total !== null) book.setTotal(total)
  book.itemSucceeded(succeeded)
  if (failed > 0) book.itemFailed('provider.rejected', failed)
  return book
}
const failure: Failure = { reasonCode: 'network.timeout', message: 'It took too long.', permanent: false }
const cancelled: Failure = { reasonCode: 'run.cancelled', message: 'It was cancelled.', permanent: false }

describe('a handler that returned', () => {
  test.each([
    ['counted nothing', bookOf(null, 0, 0), 'succeeded', { total: 0, processed: 0, failed: 0 }],
    ['set a total and counted nothing', bookOf(5, 0, 0), 'succeeded', { total: 5, processed: 0, failed: 0 }],
    ['saw every item succeed', bookOf(null, 3, 0), 'succeeded', { total: 3, processed: 3, failed: 0 }],
    ['saw some items fail', bookOf(9, 2, 1), 'partially_succeeded', { total: 9, processed: 3, failed: 1 }],
    [
      'saw all items but one fail',
      bookOf(null, 1, 99),
      'partially_succeeded',
      { total: 100, processed: 100, failed: 99 },
    ],
  ] as const)('and %s has %s', (_, book, outcome, counts) => {
    expect(settlementOfReturn(book)).toEqual({
      status: 'completed',
      outcome,
      counts,
      itemFailures: { ...book.itemFailures },
      reasonCode: null,
      message: null,
      startsCooldown: true,
    })
  })

  test.each([
    [bookOf(null, 0, 1), 1],
    [bookOf(7, 0, 3), 3],
  ])('and saw every processed item fail has failed, terminally', (book, failed) => {
    expect(settlementOfReturn(book)).toMatchObject({
      status: 'completed',
      outcome: 'failed',
      reasonCode: 'items.all_failed',
      message: `All ${failed} processed items failed.`,
      startsCooldown: true,
    })
  })
})

describe('a handler that threw', () => {
  test('with attempts left waits for its retry: no outcome yet, no cooldown, the counts so far', () => {
    expect(settlementOfFailure(bookOf(5, 1, 1), failure, false)).toEqual({
      status: 'retrying',
      outcome: 'pending',
      counts: { total: 5, processed: 2, failed: 1 },
      itemFailures: { 'provider.rejected': 1 },
      reasonCode: 'network.timeout',
      message: 'It took too long.',
      startsCooldown: false,
    })
  })

  test('terminally has failed and cools down, even when every item went well', () => {
    expect(settlementOfFailure(bookOf(null, 2, 0), failure, true)).toEqual({
      status: 'completed',
      outcome: 'failed',
      counts: { total: 2, processed: 2, failed: 0 },
      itemFailures: {},
      reasonCode: 'network.timeout',
      message: 'It took too long.',
      startsCooldown: true,
    })
  })

  test.each([true, false])(
    'because it was cancelled is cancelled, whatever attempts are left (%s)',
    (isTerminal) => {
      expect(settlementOfFailure(bookOf(4, 1, 0), cancelled, isTerminal)).toMatchObject({
        status: 'completed',
        outcome: 'cancelled',
        reasonCode: 'run.cancelled',
        counts: { total: 4, processed: 1, failed: 0 },
        startsCooldown: false,
      })
    },
  )
})

test('a settlement keeps what was counted then, not what is counted later', () => {
  const book = bookOf(null, 1, 1)
  const settlement = settlementOfFailure(book, failure, false)
  book.itemFailed('provider.throttled')
  expect(settlement.itemFailures).toEqual({ 'provider.rejected': 1 })
  expect(settlement.counts).toEqual({ total: 2, processed: 2, failed: 1 })
})

test('outcome and counts always fit each other, as the constraints of the ledger demand', () => {
  const count = fc.nat({ max: 20 })
  fc.assert(
    fc.property(
      count,
      count,
      fc.option(count),
      fc.constantFrom('return', 'throw'),
      fc.boolean(),
      (good, bad, more, how, isTerminal) => {
        const book = bookOf(more === null ? null : good + bad + more, good, bad)
        const settlement =
          how === 'return' ? settlementOfReturn(book) : settlementOfFailure(book, failure, isTerminal)
        const { status, outcome, counts, reasonCode, message } = settlement
        expect((status === 'completed') === (outcome !== 'pending')).toBe(true)
        if (outcome === 'succeeded') expect(counts.failed).toBe(0)
        if (outcome === 'partially_succeeded') {
          expect(counts.failed).toBeGreaterThan(0)
          expect(counts.failed).toBeLessThan(counts.processed)
        }
        if (outcome === 'failed') expect([reasonCode, message]).not.toContain(null)
        expect(settlement.startsCooldown).toBe(status === 'completed')
      },
    ),
  )
})
