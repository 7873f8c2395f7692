import { createLedger, migrate } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { eventually, startEmbeddedServer } from '@opsledger/testing'
import pg from 'pg'
import { expect, it } from 'vitest'

it.each(['session', 'lease'] as const)(
  'in %s mode, Postgres restarts at once while a handler runs: it goes on, alone, and is settled',
  async (exclusion) => {
    await using server = await startEmbeddedServer()
    await migrate({ connection: server.url, with: [migrations] })
    const finish = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const executed: string[] = []
    const worker = (name: string) => {
      const ledger = createLedger({ connection: server.url })
      const operation = ledger.operation({
        type: 'assignment.fetch',
        scope: (_: string) => ({ workspaceId: 'w', tenantId: 't' }),
        fingerprint: (work) => work,
        guard: createGuard(ledger, { exclusion }),
        async handler({ counts, signal }) {
          executed.push(name)
          entered.resolve()
          await finish.promise
          counts.itemSucceeded()
          return signal.aborted
        },
      })
      return { ledger, operation }
    }
    const first = worker('first')
    const second = worker('second')
    const delivered = first.operation('work', { id: 'd1', attempt: 1, maxAttempts: 3 })
    await entered.promise

    await server.restart('immediate')
    // All locks went with the old server; the row and its lease did not.
    const refused = await second.operation('work', { id: 'd2', attempt: 1, maxAttempts: 3 })
    expect(refused).toMatchObject({ executed: false, reason: 'overlap', holder: { deliveryId: 'd1' } })
    if (exclusion === 'session') {
      const client = new pg.Client(server.url)
      await client.connect()
      await eventually(async () => {
        const { rows } = await client.query(`select from pg_locks where locktype = 'advisory' and granted`)
        expect(rows).toHaveLength(1)
      })
      await client.end()
    }
    finish.resolve()

    expect(await delivered).toMatchObject({
      executed: true,
      value: false,
      run: { outcome: 'succeeded', counts: { total: 1, processed: 1, failed: 0 } },
    })
    expect(executed).toEqual(['first'])
    await Promise.all([first.ledger.close(), second.ledger.close()])
  },
)
