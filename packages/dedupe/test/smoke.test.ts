import { createGuard, fingerprint } from '@opsledger/dedupe'
import { describe, expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

describe.each(['session', 'lease'] as const)('%s', (exclusion) => {
  it('runs', async () => {
    const ledger = newLedger()
    const guard = createGuard(ledger, { exclusion })
    const op = ledger.operation({
      type: `t.${exclusion}`,
      scope: (p: { t: string; n: number }) => ({ workspaceId: 'w', tenantId: p.t }),
      fingerprint: fingerprint(['n']),
      guard,
      handler: async ({ counts, payload }) => {
        counts.setTotal(3)
        counts.itemSucceeded(2)
        counts.itemFailed('provider.rejected')
        return payload.n
      },
    })
    const v = await op({ t: 'a', n: 1 }, { id: 'd1', attempt: 1, maxAttempts: 3 })
    console.log(v)
    const v2 = await op({ t: 'a', n: 1 }, { id: 'd2', attempt: 1, maxAttempts: 3 })
    console.log(v2)
    const v3 = await op({ t: 'a', n: 1 }, { id: 'd1', attempt: 1, maxAttempts: 3 })
    console.log(v3)
    console.log(await guard.explain(op.identify({ t: 'a', n: 1 })))
    console.log(await ledger.list({ workspaceId: 'w', tenantId: 'a' }))
    const at = performance.now()
    for (let i = 10; i < 500; i++) await op({ t: 'a', n: i }, { id: `x${i}`, attempt: 1, maxAttempts: 3 })
    console.log('sequential ms/job', (performance.now() - at) / 490)
    for (const size of [32, 256, 1000]) {
      const at2 = performance.now()
      let n = 1000 * size
      await Promise.all(
        Array.from({ length: size }, async () => {
          for (let i = 0; i < 5000 / size; i++) {
            n++
            await op({ t: 'a', n }, { id: `y${n}`, attempt: 1, maxAttempts: 3 })
          }
        }),
      )
      console.log(size, 'jobs/s', 5000 / ((performance.now() - at2) / 1000))
    }
    expect(v.executed).toBe(true)
  })
})
