import { createLedger, migrate } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { useDatabase } from '@opsledger/testing/vitest'
import { expect, test } from 'vitest'
import { claimsHeldByLiving } from '../src/arena/ledger-picture.ts'

const database = useDatabase({
  template: 'chaos-picture',
  prepare: async (url) => {
    await migrate({ connection: url, with: [migrations] })
  },
})

test('a claim that a living worker does not let go of is seen, and one that it lets go of in time is not', async () => {
  const pool = database.pool()
  const ledger = createLedger({ connection: database.url })
  const started = Promise.withResolvers<number>()
  const ended = Promise.withResolvers<void>()
  const operation = ledger.operation({
    type: 'chaos.picture',
    guard: createGuard(ledger),
    scope: () => ({ workspaceId: 'w1', tenantId: 't1' }),
    fingerprint: () => 'the work',
    handler: async ({ fence }) => {
      started.resolve(fence)
      await ended.promise
    },
  })
  const worker = (pid: number, isAlive = true) => ({ isAlive, process: { pid }, settings: { leaseMs: 1 } })
  try {
    const running = operation.conclude({}, { id: 'd1', attempt: 1, maxAttempts: 1 })
    const fence = await started.promise
    expect(await claimsHeldByLiving(pool, [worker(process.pid)])).toMatchObject([{ fence }])
    expect(await claimsHeldByLiving(pool, [worker(process.pid, false), worker(1)])).toEqual([])
    const seen = claimsHeldByLiving(pool, [worker(process.pid)])
    ended.resolve()
    await running
    expect(await seen).toEqual([])
  } finally {
    ended.resolve()
    await ledger.close()
  }
})
