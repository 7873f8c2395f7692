import { runtimeOf } from '@opsledger/core/guard'
import { createGuard } from '@opsledger/dedupe'
import { eventually } from '@opsledger/testing'
import { expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

it('an attempt whose settlement is still kept is not freed as an orphan, and counts when it is sent', async () => {
  const ledger = newLedger({ leaseMs: 500, settlementTimeoutMs: 50 })
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: (_: string) => ({ workspaceId: 'w', tenantId: 't' }),
    fingerprint: (work) => work,
    guard: createGuard(ledger, { exclusion: 'lease' }),
    handler: ({ counts }) => counts.itemSucceeded(),
  })
  await operation('warm', { id: 'warm', attempt: 1, maxAttempts: 1 })

  // The network between: an admission's reply is lost, then settlements do not get through while all else does.
  const { executor } = runtimeOf(ledger)
  const call = executor.call
  const lost = () => Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
  let isAdmissionLost = false
  let settlesGetThrough = false
  let freed = 0
  executor.call = async (name, args, timeoutMs) => {
    if (name.startsWith('settle') && !settlesGetThrough) throw lost()
    const answer = await call(name, args, timeoutMs)
    if (name === 'free_orphans') freed += 1
    if (name === 'admit_one' && !isAdmissionLost) {
      isAdmissionLost = true
      throw lost()
    }
    return answer
  }
  const verdict = await operation('kept', { id: 'd1', attempt: 1, maxAttempts: 3 })
  expect(verdict).toMatchObject({ executed: true, settlement: 'unconfirmed' })
  await eventually(() => expect(freed).toBeGreaterThan(0))
  settlesGetThrough = true

  await eventually(async () => {
    const { rows } = await database.pool().query(
      `select r.status, r.outcome, r.processed, c.state from opsledger.operation_run r
       join opsledger.job_claim c on c.run_id = r.id where c.identity = $1`,
      [operation.identify('kept').identity],
    )
    expect(rows).toEqual([{ status: 'completed', outcome: 'succeeded', processed: 1, state: 'cooling' }])
  })
})
