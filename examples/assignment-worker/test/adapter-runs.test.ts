import { useDatabase } from '@opsledger/testing/vitest'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { wire } from '../src/app/worker.ts'
import { type Provider, startProvider } from '../src/demo/provider.ts'
import { resetDatabase } from '../src/demo/reset-database.ts'

const database = useDatabase()
let provider: Provider
let worker: ReturnType<typeof wire>
let workspaceId: string
let tenantId: string
let deliveries = 0

beforeEach(async () => {
  await resetDatabase(database)
  provider = await startProvider()
  worker = wire({ databaseUrl: database.url, providerUrl: provider.url, providerKey: 'a key of this test' })
  const tenant = await worker.db.selectFrom('tenants').selectAll().executeTakeFirstOrThrow()
  workspaceId = tenant.workspace_id
  tenantId = tenant.id
  await worker.db.deleteFrom('adapter_runs').execute()
})
afterEach(async () => {
  await worker.ledger.close()
  await worker.db.destroy()
  await provider[Symbol.asyncDispose]()
})

const delivery = () => ({ id: `delivery-${++deliveries}`, attempt: 1, maxAttempts: 1 })

async function reconcile() {
  const verdict = await worker.operations.reconcile({ workspaceId }, delivery())
  return { outcome: verdict.run?.outcome, counts: verdict.run?.counts, failures: verdict.run?.itemFailures }
}

/** A session that nobody will end, opened under this fence of this run. */
async function leaveSession(id: string, runId: string, fence = 0): Promise<void> {
  const owner = { workspace_id: workspaceId, tenant_id: tenantId }
  await worker.db
    .insertInto('adapter_runs')
    .values({ id, run_id: runId, fence, ...owner })
    .execute()
}

const endedBy = async (id: string) => {
  const row = await worker.db
    .selectFrom('adapter_runs')
    .select('ended_by')
    .where('id', '=', id)
    .executeTakeFirst()
  return row?.ended_by
}

const A = '00000000-0000-4000-8000-00000000000a'
const B = '00000000-0000-4000-8000-00000000000b'

test('the session of an attempt that executes is left alone, that of an earlier attempt of the run is not', async () => {
  using hold = provider.hold('GET /policies/twice/assignments?page=2')
  const fetched = worker.operations.fetch({ workspaceId, tenantId, policy: 'twice' }, delivery())
  await hold.reached
  const [session] = await worker.db.selectFrom('adapter_runs').selectAll().execute()
  await leaveSession(A, session!.run_id, Number(session!.fence) - 1)

  expect(await reconcile()).toMatchObject({ outcome: 'succeeded', counts: { total: 1, failed: 0 } })
  expect(await endedBy(A)).toBe('reconcile')
  expect(await endedBy(session!.id)).toBeNull()
  expect(provider.openSessions()).toEqual([session!.id])

  hold.release()
  expect((await fetched).run?.outcome).toBe('succeeded')
  expect(await endedBy(session!.id)).toBe('worker')
})

test('a session that the provider will not end does not keep the others open, and is found again', async () => {
  await leaveSession(A, A)
  await leaveSession(B, B)
  provider.script(`DELETE /adapter-runs/${A}`, { status: 500, body: { error: 'try again' } })
  expect(await reconcile()).toEqual({
    outcome: 'partially_succeeded',
    counts: { total: 2, processed: 2, failed: 1 },
    failures: { 'adapter_run.not_ended': 1 },
  })
  expect([await endedBy(A), await endedBy(B)]).toEqual([null, 'reconcile'])

  expect(await reconcile()).toMatchObject({ outcome: 'succeeded', counts: { total: 1, failed: 0 } })
  expect(await endedBy(A)).toBe('reconcile')
})

test('a provider that will not end a session does not hide how the work ended', async () => {
  provider.script('GET /policies/twice/assignments?page=1', {
    status: 404,
    body: { error: 'no such policy' },
  })
  using hold = provider.hold('GET /policies/twice/assignments?page=1')
  const fetched = worker.operations.fetch.conclude({ workspaceId, tenantId, policy: 'twice' }, delivery())
  await hold.reached
  const [session] = await worker.db.selectFrom('adapter_runs').selectAll().execute()
  provider.script(`DELETE /adapter-runs/${session!.id}`, { status: 500, body: { error: 'try again' } })
  hold.release()
  expect((await fetched).run).toMatchObject({ outcome: 'failed', reasonCode: 'provider.not_found' })
  expect(await endedBy(session!.id)).toBeNull()
})
