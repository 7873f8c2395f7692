import { ClaimLostError } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { startProxy } from '@opsledger/testing'
import { expect, it, onTestFinished } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

it.each(['session', 'lease'] as const)(
  'in %s mode, a worker that cannot reach the database aborts its handlers before its lease has run out',
  async (exclusion) => {
    const proxy = await startProxy(database.url)
    const ledger = newLedger({ connection: proxy.url, leaseMs: 6_000, settlementTimeoutMs: 100 })
    onTestFinished(async () => {
      proxy.resume()
      await ledger.close({ withinMs: 100 })
      await proxy.stop()
    })
    const entered = Promise.withResolvers<string>()
    const operation = ledger.operation({
      type: 'assignment.fetch',
      scope: (_: string) => ({ workspaceId: 'w', tenantId: exclusion }),
      fingerprint: (work) => work,
      guard: createGuard(ledger, { exclusion }),
      async handler({ run, signal }) {
        entered.resolve(run.workerId!)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        // The database's clock, by a way that the worker does not have.
        const { rows } = await database.pool().query<{ is_live: boolean }>(
          `select expires_at > clock_timestamp() and retired_at is null as is_live
           from opsledger.worker_lease where id = $1`,
          [run.workerId],
        )
        return { isLive: rows[0]?.is_live, reason: signal.reason as unknown }
      },
    })
    const delivered = operation('work', { id: 'd1', attempt: 1, maxAttempts: 3 })
    await entered.promise
    proxy.pause()
    const verdict = await delivered
    expect(verdict).toMatchObject({ executed: true, value: { isLive: true } })
    expect(verdict.executed && verdict.value.reason).toBeInstanceOf(ClaimLostError)
  },
)
