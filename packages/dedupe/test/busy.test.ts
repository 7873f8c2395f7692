import { DatabaseUnavailableError } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { expect, test } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

test.each(['session', 'lease'] as const)(
  'an admission that somebody stays in the way of is told so, and comes through afterwards: %s',
  async (exclusion) => {
    const ledger = newLedger({ admissionTimeoutMs: 300 })
    const operation = ledger.operation({
      type: `assignment.${exclusion}`,
      guard: createGuard(ledger, { exclusion }),
      scope: (_: string) => ({ workspaceId: 'w1', tenantId: 't1' }),
      fingerprint: (work) => work,
      handler: () => 'done',
    })
    await operation('warm-up', { id: 'warm-up', attempt: 1, maxAttempts: 1 })
    const other = await database.pool().connect()
    await other.query('begin')
    await other.query('lock table opsledger.operation_run in access exclusive mode')
    const refused = operation('a', { id: 'a', attempt: 1, maxAttempts: 1 })
    await expect(refused).rejects.toBeInstanceOf(DatabaseUnavailableError)
    await expect(refused).rejects.toMatchObject({ cause: { code: '55P03' } })
    await other.query('rollback')
    other.release()
    expect(await operation('a', { id: 'a', attempt: 1, maxAttempts: 1 })).toMatchObject({ executed: true })
  },
)
