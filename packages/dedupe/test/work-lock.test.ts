import { randomUUID } from 'node:crypto'
import { createGuard } from '@opsledger/dedupe'
import { describe, expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

describe.each(['session', 'lease'] as const)('in %s mode', (exclusion) => {
  it('two run ids of one work are admitted in turn: while one is at it, the other is told to come back', async () => {
    const ledger = newLedger()
    const operation = ledger.operation({
      type: 'assignment.fetch',
      scope: (_: { runId: string }) => ({ workspaceId: 'w', tenantId: exclusion }),
      runId: ({ runId }) => runId,
      fingerprint: () => 'the same work',
      guard: createGuard(ledger, { exclusion }),
      handler: () => 'done',
    })
    const payload = { runId: randomUUID() }
    const { identity, workKey } = operation.identify(payload)
    expect(identity).not.toBe(workKey)

    // Another admission of this work, under another run id, in the middle of its statement.
    const other = await database.pool().connect()
    await other.query('begin')
    await other.query('select pg_advisory_xact_lock(opsledger.lock_key($1))', [workKey])
    const refused = await operation(payload, { id: 'd1', attempt: 1, maxAttempts: 3 })
    expect(refused).toMatchObject({ executed: false, reason: 'lock_busy', action: 'retry_later', run: null })
    await other.query('rollback')
    other.release()
    expect(await operation(payload, { id: 'd1', attempt: 1, maxAttempts: 3 })).toMatchObject({
      executed: true,
    })
  })
})
