// #region pglite
import { strict as assert } from 'node:assert'
import { after, test } from 'node:test'
import { PGlite } from '@electric-sql/pglite'
import { createLedger, migrate } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { Kysely, PGliteDialect } from 'kysely'
import { restoreOperation } from './restore-operation.ts'

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
