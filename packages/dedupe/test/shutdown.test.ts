import { LedgerClosedError } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { waitUntilBlocked } from '@opsledger/testing'
import { describe, expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

const operationOn = (
  exclusion: 'session' | 'lease',
  handler: (work: string) => void,
  ledger = newLedger({ leaseMs: 600_000 }),
) => ({
  ledger,
  operation: ledger.operation({
    type: 'assignment.fetch',
    scope: (_: string) => ({ workspaceId: 'w', tenantId: exclusion }),
    fingerprint: (work) => work,
    guard: createGuard(ledger, { exclusion }),
    handler: ({ payload }) => handler(payload),
  }),
})

describe.each(['session', 'lease'] as const)('in %s mode', (exclusion) => {
  it('a handler whose admission was under way when the ledger closed never begins', async () => {
    const begun: string[] = []
    const { ledger, operation } = operationOn(exclusion, (work) => begun.push(work))
    await operation('warm', { id: 'warm', attempt: 1, maxAttempts: 1 })

    const blocker = await database.pool().connect()
    await blocker.query('begin; lock table opsledger.job_claim in exclusive mode')
    const delivered = operation('late', { id: 'd1', attempt: 1, maxAttempts: 3 }).catch(
      (error: unknown) => error,
    )
    await waitUntilBlocked(database.pool())
    const closing = ledger.close({ withinMs: 0 })
    await blocker.query('rollback')
    blocker.release()
    await closing

    expect(await delivered).toBeInstanceOf(LedgerClosedError)
    expect(begun).toEqual(['warm'])
    // Nothing of it stands in the way of the next worker.
    const next = operationOn(exclusion, () => {})
    const redelivered = await next.operation('late', { id: 'd1', attempt: 1, maxAttempts: 3 })
    expect(redelivered).toMatchObject({ executed: true })
  })
})

it('two guards of one ledger know of each other: what one executes is no orphan to the other', async () => {
  const ledger = newLedger()
  const finish = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  const [first, second] = [1, 2].map(() =>
    ledger.operation({
      type: 'assignment.fetch',
      scope: (_: string) => ({ workspaceId: 'w', tenantId: 'two guards' }),
      fingerprint: (work) => work,
      guard: createGuard(ledger, { exclusion: 'lease' }),
      async handler() {
        entered.resolve()
        await finish.promise
      },
    }),
  )
  const executing = first!('same', { id: 'd1', attempt: 1, maxAttempts: 1 })
  await entered.promise
  const refused = await second!('same', { id: 'd2', attempt: 1, maxAttempts: 1 })
  expect(refused).toMatchObject({ executed: false, reason: 'overlap', holder: { deliveryId: 'd1' } })
  finish.resolve()
  expect(await executing).toMatchObject({ executed: true, settlement: 'settled' })
})
