import { createGuard } from '@opsledger/dedupe'
import { expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

it("a run's context is what the ledger holds, on its first attempt as on its second, and never the host's own object", async () => {
  const ledger = newLedger()
  const seen: unknown[] = []
  const shared = { due: new Date(0), nothing: undefined as unknown, list: [1] }
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: (_: string) => ({ workspaceId: 'w' }),
    fingerprint: (work) => work,
    context: () => shared,
    guard: createGuard(ledger, { exclusion: 'lease' }),
    handler: ({ run, delivery }) => {
      seen.push(run.context)
      if (delivery.attempt === 1) throw new Error('again')
    },
  })
  await expect(operation('x', { id: 'd', attempt: 1, maxAttempts: 3 })).rejects.toThrow('again')
  await operation('x', { id: 'd', attempt: 2, maxAttempts: 3 })
  expect(seen[0]).toEqual({ due: '1970-01-01T00:00:00.000Z', list: [1] })
  expect(seen[1]).toEqual(seen[0])
  expect(shared.list).not.toBe((seen[0] as typeof shared).list)
})
