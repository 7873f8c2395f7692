import { strict as assert } from 'node:assert'
import { after, test } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import { createLedger, type Ledger, migrate } from '@opsledger/core'
import { createGuard, type DedupeGuard, fingerprint } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { Kysely, PGliteDialect } from 'kysely'

interface RestoreJob {
  workspaceId: string
  tenantId: string
  assignmentIds: string[]
}

interface Provider {
  /** False when the provider does not have it any more. */
  restore(assignmentId: string): Promise<boolean>
}

/** The host's own: its worker makes it with the real provider, its unit test with a stand-in. */
const restoreOperation = (ledger: Ledger, guard: DedupeGuard, provider: Provider) =>
  ledger.operation({
    type: 'assignment.restore',
    scope: (job: RestoreJob) => ({ workspaceId: job.workspaceId, tenantId: job.tenantId }),
    fingerprint: fingerprint(['assignmentIds']),
    guard,
    async handler({ payload, counts }) {
      counts.setTotal(payload.assignmentIds.length)
      for (const id of payload.assignmentIds) {
        if (await provider.restore(id)) counts.itemSucceeded()
        else counts.itemFailed('provider.not_found')
      }
    },
  })

// #region pglite
// Once per test file: a Postgres in this process, in memory. There is no server to start and nothing to clean up.
const pglite = await PGlite.create()
const kysely = new Kysely<unknown>({ dialect: new PGliteDialect({ pglite }) })
await migrate({ kysely, with: [migrations] })
const ledger = createLedger({ kysely })
const guard = createGuard(ledger) // in lease mode, as with every Kysely instance
after(async () => {
  await ledger.close()
  await pglite.close()
})

const restore = restoreOperation(ledger, guard, { restore: async (id) => id !== 'gone' })
const job = { workspaceId: 'acme', tenantId: 'berlin', assignmentIds: ['a-1', 'gone', 'a-2'] }

test('an assignment that is gone is counted, and the others are restored', async () => {
  const verdict = await restore(job, { id: 'job-1', attempt: 1, maxAttempts: 3 })
  assert(verdict.executed)
  assert.equal(verdict.run.outcome, 'partially_succeeded')
  assert.deepEqual(verdict.run.counts, { total: 3, processed: 3, failed: 1 })
  assert.deepEqual(verdict.run.itemFailures, { 'provider.not_found': 1 })
})

test('dispatched twice, it runs once', async () => {
  const verdict = await restore(job, { id: 'job-2', attempt: 1, maxAttempts: 3 })
  assert(!verdict.executed)
  assert.equal(verdict.reason, 'cooldown')
})

test('a quarter of an hour later it runs again', async ({ mock }) => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 15 * 60 * 1000 }) // the clock of PGlite is this one
  const verdict = await restore(job, { id: 'job-3', attempt: 1, maxAttempts: 3 })
  assert(verdict.executed)
})
// #endregion
