import * as core from '@opsledger/core'
import { describe, expect, test } from 'vitest'

const { ClaimLostError, InvalidOptionError, MissingIdentityError, OpsLedgerError, ScopeMismatchError } = core

const CAUSE = new Error('cause')
const ERRORS: Record<string, InstanceType<typeof OpsLedgerError>> = {
  claim_lost: new ClaimLostError('r1', 7, 'why', { cause: CAUSE }),
  database_refused: new core.DatabaseRefusedError('m', { cause: CAUSE }),
  database_unavailable: new core.DatabaseUnavailableError('m', { cause: CAUSE }),
  impossible_count: new core.CountError('m', { cause: CAUSE }),
  invalid_option: new InvalidOptionError('option', 1, '2'),
  ledger_closed: new core.LedgerClosedError(),
  missing_identity: new MissingIdentityError('a.b'),
  missing_migration: new core.MissingMigrationError('m', { cause: CAUSE }),
  newer_schema: new core.NewerSchemaError('m', { cause: CAUSE }),
  operation_error: new core.OperationError('provider.rejected', 'm', { cause: CAUSE }),
  scope_mismatch: new ScopeMismatchError('r1'),
  transaction_unconfirmed: new core.TransactionUnconfirmedError('812', 30_000, { cause: CAUSE }),
}

test('every error class of the public door is here', () => {
  const exported = Object.entries(core).filter(
    ([, value]) => typeof value === 'function' && value.prototype instanceof OpsLedgerError,
  )
  expect(exported.map(([name]) => name).sort()).toEqual(
    Object.values(ERRORS)
      .map((error) => error.constructor.name)
      .sort(),
  )
})

describe.each(Object.entries(ERRORS))('%s', (code, error) => {
  test('is one of ours, with its code, the name of its class and a message', () => {
    expect(error).toBeInstanceOf(OpsLedgerError)
    expect(error).toBeInstanceOf(Error)
    expect(error.code).toBe(code)
    expect(error.name).toBe(error.constructor.name)
    expect(error.message).not.toBe('')
    expect(String(error)).toBe(`${error.name}: ${error.message}`)
    if (error.cause !== undefined) expect(error.cause).toBe(CAUSE)
  })
})

test('errors carry the facts that a host branches on', () => {
  expect(ERRORS.claim_lost).toMatchObject({
    runId: 'r1',
    fence: 7,
    message: 'The claim of run r1 (fence 7) is lost: why',
  })
  expect(new ClaimLostError(null, 7, 'why').message).toBe('The claim of this job (fence 7) is lost: why')
  expect(ERRORS.invalid_option).toMatchObject({ option: 'option', message: 'option is 1; allowed: 2' })
  expect(ERRORS.missing_identity).toMatchObject({ type: 'a.b' })
  expect(ERRORS.scope_mismatch).toMatchObject({ runId: 'r1' })
})

test.each<[unknown, string]>([
  ['text', '"text"'],
  ['two\nlines', '"two\\nlines"'],
  [undefined, 'undefined'],
  [Symbol('s'), 'Symbol(s)'],
  [Object.create(null), 'a object'],
  [
    {
      toString() {
        throw new Error('no')
      },
    },
    'a object',
  ],
  ['x'.repeat(500), `"${'x'.repeat(78)}…`],
])(
  'whatever was given, an option error shows it short, on one line, and never fails (%#)',
  (value, shown) => {
    expect(new InvalidOptionError('option', value, 'else').message).toBe(`option is ${shown}; allowed: else`)
  },
)
