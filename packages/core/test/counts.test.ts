import { CountError, InvalidOptionError } from '@opsledger/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCountBook, MAX_ITEM_FAILURE_CODES } from '../src/run/counts.ts'

const MAX = 2_147_483_647

test('a new attempt starts from nothing', () => {
  const book = createCountBook()
  expect(book.progress).toEqual({ total: null, processed: 0, failed: 0 })
  expect(book.result()).toEqual({ total: 0, processed: 0, failed: 0 })
  expect(book.itemFailures).toEqual({})
})

test('without a set total, what was processed is all there was', () => {
  const book = createCountBook()
  book.itemSucceeded(3)
  book.itemFailed('provider.rejected', 2)
  expect(book.progress).toEqual({ total: null, processed: 5, failed: 2 })
  expect(book.result()).toEqual({ total: 5, processed: 5, failed: 2 })
})

test('a set total stays, also when fewer items were brought to a conclusion', () => {
  const book = createCountBook()
  book.setTotal(10)
  book.itemSucceeded()
  expect(book.result()).toEqual({ total: 10, processed: 1, failed: 0 })
})

test('counting beyond a set total throws at the call, and counts nothing of it', () => {
  const book = createCountBook()
  book.setTotal(2)
  book.itemSucceeded(2)
  expect(() => book.itemSucceeded()).toThrow(CountError)
  expect(() => book.itemSucceeded()).toThrow('2 of 2 items are counted already, so 1 more do not fit')
  expect(() => book.itemFailed('provider.rejected')).toThrow(CountError)
  expect(book.result()).toEqual({ total: 2, processed: 2, failed: 0 })
  expect(book.itemFailures).toEqual({})
})

test('a total may be raised or lowered, not below what is counted already', () => {
  const book = createCountBook()
  book.setTotal(5)
  book.itemSucceeded(3)
  book.setTotal(9)
  book.setTotal(3)
  expect(() => book.setTotal(2)).toThrow('The total cannot be 2: 3 items are counted already')
  expect(book.result()).toEqual({ total: 3, processed: 3, failed: 0 })
})

test.each([
  -1,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  MAX + 1,
  '1' as unknown as number,
  null as unknown as number,
])('%s is no count of anything', (value) => {
  const book = createCountBook()
  expect(() => book.setTotal(value)).toThrow(CountError)
  expect(() => book.itemSucceeded(value)).toThrow(/items is .*; allowed: a whole number from 0/)
  expect(() => book.itemFailed('provider.rejected', value)).toThrow(CountError)
  expect(book.result()).toEqual({ total: 0, processed: 0, failed: 0 })
  expect(book.itemFailures).toEqual({})
})

test('no more is counted than the ledger can hold, also without a total', () => {
  const book = createCountBook()
  book.itemSucceeded(MAX)
  expect(() => book.itemSucceeded()).toThrow(CountError)
  expect(() => book.itemFailed('provider.rejected')).toThrow(CountError)
  expect(book.result()).toEqual({ total: MAX, processed: MAX, failed: 0 })
})

test.each(['', 'failed', 'Provider.Rejected', 'a b.c', 'a..b', null as unknown as string])(
  'the reason code %j of an item is refused, and the item is not counted',
  (code) => {
    const book = createCountBook()
    expect(() => book.itemFailed(code)).toThrow(InvalidOptionError)
    expect(book.result()).toEqual({ total: 0, processed: 0, failed: 0 })
  },
)

test('failed items are counted by reason code', () => {
  const book = createCountBook()
  book.itemFailed('provider.rejected')
  book.itemFailed('provider.throttled', 3)
  book.itemFailed('provider.rejected')
  expect(book.itemFailures).toEqual({ 'provider.rejected': 2, 'provider.throttled': 3 })
})

test('a reason code is kept only for items that did fail', () => {
  const book = createCountBook()
  book.itemFailed('provider.rejected', 0)
  expect(book.itemFailures).toEqual({})
  expect(book.result()).toEqual({ total: 0, processed: 0, failed: 0 })
})

test('codes beyond the ones a run keeps are counted together, those that are kept go on', () => {
  const book = createCountBook()
  for (let n = 0; n < MAX_ITEM_FAILURE_CODES + 5; n++) book.itemFailed(`host.reason_${n}`)
  book.itemFailed('host.reason_0')
  expect(Object.keys(book.itemFailures)).toHaveLength(MAX_ITEM_FAILURE_CODES + 1)
  expect(book.itemFailures).toMatchObject({ 'host.reason_0': 2, 'items.other': 5 })
  expect(Object.values(book.itemFailures).reduce((sum, n) => sum + n)).toBe(book.result().failed)
})

test('once the attempt has ended nothing can be counted any more', () => {
  const book = createCountBook()
  book.itemSucceeded()
  book.close()
  expect(() => book.setTotal(5)).toThrow('This attempt has ended')
  expect(() => book.itemSucceeded()).toThrow(CountError)
  expect(() => book.itemFailed('provider.rejected')).toThrow(CountError)
  expect(book.result()).toEqual({ total: 1, processed: 1, failed: 0 })
})

describe('whatever is called in whatever order', () => {
  const call = fc.oneof(
    fc.record({ kind: fc.constant('total' as const), n: fc.integer({ min: -2, max: 40 }) }),
    fc.record({ kind: fc.constant('succeeded' as const), n: fc.integer({ min: -2, max: 15 }) }),
    fc.record({ kind: fc.constant('failed' as const), n: fc.integer({ min: -2, max: 15 }) }),
  )

  test('0 <= failed <= processed <= total, and the codes add up to what failed', () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60 }), fc.integer({ min: 1, max: 50 }), (calls, codes) => {
        const book = createCountBook()
        let processed = 0
        let failed = 0
        calls.forEach(({ kind, n }, index) => {
          try {
            if (kind === 'total') book.setTotal(n)
            else if (kind === 'succeeded') book.itemSucceeded(n)
            else book.itemFailed(`host.code_${index % codes}`, n)
          } catch (error) {
            expect(error).toBeInstanceOf(CountError)
            return
          }
          if (kind !== 'total') processed += n
          if (kind === 'failed') failed += n
        })
        const result = book.result()
        expect(result).toMatchObject({ processed, failed })
        expect(failed).toBeGreaterThanOrEqual(0)
        expect(failed).toBeLessThanOrEqual(processed)
        expect(processed).toBeLessThanOrEqual(result.total)
        expect(Object.values(book.itemFailures).reduce((sum, n) => sum + n, 0)).toBe(failed)
        expect(Object.keys(book.itemFailures).length).toBeLessThanOrEqual(MAX_ITEM_FAILURE_CODES + 1)
      }),
    )
  })
})
