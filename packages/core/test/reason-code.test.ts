import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidOptionError, OpsLedgerError } from '../src/errors.ts'
import { OperationError } from '../src/failure/operation-error.ts'
import {
  assertReasonCode,
  isReasonCode,
  MAX_REASON_CODE_LENGTH,
  REASON_CODES,
} from '../src/failure/reason-code.ts'

describe('reason codes', () => {
  it('of the closed set all have the form of one, and a sentence of meaning', () => {
    for (const [code, meaning] of Object.entries(REASON_CODES)) {
      expect(isReasonCode(code), code).toBe(true)
      expect(meaning, code).toMatch(/^[A-Z].*\.$/)
    }
    expect(new Set(Object.values(REASON_CODES)).size).toBe(Object.keys(REASON_CODES).length)
    expect(Object.isFrozen(REASON_CODES)).toBe(true)
  })

  it('include those the rest of the library and its users rely on', () => {
    expect(Object.keys(REASON_CODES)).toEqual(
      expect.arrayContaining([
        'worker.lost',
        'worker.shutdown',
        'delivery.lost',
        'claim.lost',
        'items.all_failed',
        'run.overlap',
        'run.not_canonical',
        'provider.throttled',
        'unknown.error',
        'unknown.thrown',
      ]),
    )
  })

  it.each(['a.b', 'provider.throttled', 'acme.crm.rate_limit', 'a1.b2_c3.d.e', `a.${'b'.repeat(62)}`])(
    'may be %s',
    (code) => {
      expect(isReasonCode(code)).toBe(true)
      expect(() => assertReasonCode('reasonCode', code)).not.toThrow()
    },
  )

  it.each([
    '',
    'provider',
    'a.b.c.d.e',
    'Provider.throttled',
    'provider.',
    '.throttled',
    'provider..x',
    'a.1b',
    'a._b',
    'a.b_',
    'a.b__c',
    'a-b.c',
    'a b.c',
    'a.b\n',
    ' a.b',
    'ä.b',
    `a.${'b'.repeat(63)}`,
    undefined,
    null,
    7,
    {},
    ['a.b'],
  ])('may not be %j', (code) => {
    expect(isReasonCode(code)).toBe(false)
    expect(() => assertReasonCode('reasonCode', code)).toThrow(InvalidOptionError)
  })

  it('say what is allowed when one is refused', () => {
    expect(() => assertReasonCode('reasonCode', 'Oops')).toThrow(
      `reasonCode is "Oops"; allowed: two to four snake_case words joined by dots, at most ${MAX_REASON_CODE_LENGTH} characters, such as provider.throttled`,
    )
  })

  it('are never longer than the limit', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 100 }),
        (text) => !isReasonCode(text) || text.length <= MAX_REASON_CODE_LENGTH,
      ),
    )
  })

  it('are on the page of the docs, with the same meaning and in the same order', () => {
    const page = readFileSync(new URL('../../../docs/reason-codes.md', import.meta.url), 'utf8')
    const rows = Array.from(page.matchAll(/^\| `([a-z_.\d]+)` +\| (.+?) +\|$/gm), ([, code, meaning]) => [
      code,
      meaning,
    ])
    expect(rows).toEqual(Object.entries(REASON_CODES))
  })
})

describe('an operation error', () => {
  it('states a reason code and whether a retry is pointless', () => {
    const cause = new Error('inner')
    const error = new OperationError('acme.quota_exceeded', 'The quota is used up', {
      permanent: true,
      cause,
    })
    expect(error).toBeInstanceOf(OpsLedgerError)
    expect(error).toMatchObject({
      name: 'OperationError',
      code: 'operation_error',
      reasonCode: 'acme.quota_exceeded',
      permanent: true,
      cause,
    })
  })

  it('is not permanent unless told, and has no cause unless given', () => {
    const error = new OperationError('acme.busy', 'Busy')
    expect(error.permanent).toBe(false)
    expect(Object.hasOwn(error, 'cause')).toBe(false)
    expect(new OperationError('acme.busy', 'Busy', { permanent: undefined }).permanent).toBe(false)
  })

  it('refuses a reason code that has not the form of one', () => {
    expect(() => new OperationError('Busy!', 'x')).toThrow(InvalidOptionError)
  })
})
