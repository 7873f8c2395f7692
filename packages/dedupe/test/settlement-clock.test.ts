import { createGuard } from '@opsledger/dedupe'
import { waitUntilBlocked } from '@opsledger/testing'
import { describe, expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

describe.each(['session', 'lease'] as const)('in %s mode', (exclusion) => {
  const database = useLedgerDatabase()
  const newLedger = useLedgers(database)

  it('a settlement that waited for its row begins the cooldown when it got it, not when it asked', async () => {
    const pool = database.pool()
    const ledger = newLedger()
    const started = Promise.withResolvers<string>()
    const finish = Promise.withResolvers<void>()
    const operation = ledger.operation({
      type: 'assignment.fetch',
      scope: (_: string) => ({ workspaceId: 'w', tenantId: 't' }),
      fingerprint: (work) => work,
      guard: createGuard(ledger, { exclusion }),
      async handler({ run }) {
        started.resolve(run.id)
        await finish.promise
      },
    })
    const verdict = operation(`waits in ${exclusion} mode`, { id: 'd1', attempt: 1, maxAttempts: 1 })
    const runId = await started.promise

    const other = await pool.connect()
    await other.query('begin')
    await other.query('select from opsledger.job_claim where run_id = $1 for update', [runId])
    finish.resolve()
    await waitUntilBlocked(pool, { applicationName: 'opsledger work' })
    const { rows } = await other.query<{ at: Date }>('select clock_timestamp() as at')
    await other.query('rollback')
    other.release()

    expect(await verdict).toMatchObject({ executed: true, settlement: 'settled' })
    const { rows: claims } = await pool.query(
      'select settled_at > $2 as is_later from opsledger.job_claim where run_id = $1',
      [runId, rows[0]!.at],
    )
    expect(claims).toEqual([{ is_later: true }])
  })
})
