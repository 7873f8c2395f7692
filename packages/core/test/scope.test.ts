import { createLedger, type Delivery, InvalidOptionError, type Scope } from '@opsledger/core'
import { describe, expect, test } from 'vitest'
import { exactDelivery, isLastAttempt } from '../src/run/delivery.ts'
import { exactScope } from '../src/run/scope.ts'

describe('a scope', () => {
  test('is exact: without a tenant it is the workspace itself, and nothing else belongs to it', () => {
    const own = { workspaceId: 'w1', tenantId: null }
    expect(exactScope({ workspaceId: 'w1' })).toEqual(own)
    expect(exactScope(own)).toEqual(own)
    expect(() => exactScope({ workspaceId: 'w1', tenantId: undefined })).toThrow(
      /^scope\.tenantId is undefined/,
    )
    const wide = { workspaceId: 'w1', tenantId: 't1', more: 1 }
    expect(exactScope(wide)).toEqual({ workspaceId: 'w1', tenantId: 't1' })
    expect(Object.isFrozen(exactScope(own))).toBe(true)
  })

  test('takes ids of 200 characters, and every character that Postgres can store', () => {
    for (const workspaceId of ['w'.repeat(200), '日本', '😀'.repeat(100), ' ', "'; --", 'a\nb']) {
      expect(exactScope({ workspaceId }).workspaceId).toBe(workspaceId)
    }
  })

  test.each([undefined, null, 'w1', 42, [] as never, {}, { tenantId: 't1' }])('%j is refused', (scope) => {
    expect(() => exactScope(scope as never as Scope)).toThrow(InvalidOptionError)
  })

  test.each(['', 'w'.repeat(201), 'a\u0000b', '\ud800', 42, {}, true])(
    'the id %j is refused as workspace and as tenant, by the name of the field',
    (id) => {
      expect(() => exactScope({ workspaceId: id as string })).toThrow(
        /^scope\.workspaceId is .*; allowed: text of 1 to 200 characters without NUL or lone surrogates$/s,
      )
      expect(() => exactScope({ workspaceId: 'w1', tenantId: id as string })).toThrow(/^scope\.tenantId is /)
    },
  )
})

describe('a delivery', () => {
  const good: Delivery = { id: 'd1', attempt: 1, maxAttempts: 3 }

  test.each([
    [good],
    [{ ...good, attempt: 4 }],
    [{ ...good, attempt: 2_147_483_647, maxAttempts: 2_147_483_647 }],
    [{ ...good, id: 'd'.repeat(255) }],
  ])('%j is accepted', (delivery) => {
    expect(() => exactDelivery(delivery)).not.toThrow()
  })

  test.each([
    ['delivery', undefined],
    ['delivery', null],
    ['delivery', 'd1'],
    ['delivery.id', { ...good, id: '' }],
    ['delivery.id', { ...good, id: 1 }],
    ['delivery.id', { ...good, id: undefined }],
    ['delivery.id', { ...good, id: 'd'.repeat(256) }],
    ['delivery.id', { ...good, id: 'a\u0000' }],
    ['delivery.attempt', { ...good, attempt: 0 }],
    ['delivery.attempt', { ...good, attempt: 1.5 }],
    ['delivery.attempt', { ...good, attempt: undefined }],
    ['delivery.attempt', { ...good, attempt: '1' }],
    ['delivery.attempt', { ...good, attempt: 2 ** 31 }],
    ['delivery.maxAttempts', { ...good, maxAttempts: 0 }],
    ['delivery.maxAttempts', { ...good, maxAttempts: undefined }],
    ['delivery.maxAttempts', { ...good, maxAttempts: Number.POSITIVE_INFINITY }],
  ])('%s is named when it cannot be used (%j)', (field, delivery) => {
    const assert = () => exactDelivery(delivery as Delivery)
    expect(assert).toThrow(InvalidOptionError)
    expect(assert).toThrow(new RegExp(`^${field.replace('.', '\\.')} is .*; allowed: `))
  })

  test.each([
    [1, 3, false],
    [2, 3, false],
    [3, 3, true],
    [4, 3, true],
    [1, 1, true],
  ])('attempt %i of %i is the last one: %s', (attempt, maxAttempts, isLast) => {
    expect(isLastAttempt({ id: 'd1', attempt, maxAttempts })).toBe(isLast)
  })
})

test('a scope that cannot be used is refused before a database is asked for', async () => {
  const ledger = createLedger({ connection: 'postgres://nobody@127.0.0.1:1/none' })
  const operation = ledger.operation({
    type: 'a.b',
    scope: (scope: Scope) => scope,
    fingerprint: () => 'f',
    handler: () => {
      throw new Error('it must not execute')
    },
  })
  const good = { id: 'd1', attempt: 1, maxAttempts: 1 }
  await expect(operation({ workspaceId: '' }, good)).rejects.toThrow(/^scope\.workspaceId is ""/)
  await expect(operation.open({ workspaceId: '' })).rejects.toThrow(/^scope\.workspaceId is ""/)
  await ledger.close()
})
