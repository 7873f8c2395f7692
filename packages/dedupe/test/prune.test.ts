import { randomUUID } from 'node:crypto'
import { createGuard } from '@opsledger/dedupe'
import { countStatements } from '@opsledger/testing'
import { Kysely, PostgresDialect } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createLatch, delivery } from '../../core/test/support/ledger.ts'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const MINUTE_MS = 60_000
const SCOPE = { workspaceId: 'w1', tenantId: 't1' }

const database = useLedgerDatabase()
const ledgerOf = useLedgers(database)

function newWorker(handler: () => unknown = () => 'done', options: Parameters<typeof ledgerOf>[0] = {}) {
  const ledger = ledgerOf({ leaseMs: 600_000, ...options })
  const guard = createGuard(ledger, { exclusion: 'lease' })
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: (_: string) => SCOPE,
    fingerprint: (work) => work,
    guard,
    handler,
  })
  return { ledger, guard, operation }
}

/** The claim of this work is as if that much time had passed since. */
async function age(runId: string, ms: number) {
  await database.pool().query(
    `update opsledger.job_claim set claimed_at = claimed_at - $2::bigint * interval '1 ms',
       settled_at = settled_at - $2::bigint * interval '1 ms', cooldown_until = cooldown_until - $2::bigint * interval '1 ms'
     where run_id = $1`,
    [runId, ms],
  )
  await database
    .pool()
    .query(
      `update opsledger.operation_run set completed_at = completed_at - $2::bigint * interval '1 ms' where id = $1`,
      [runId, ms],
    )
}
const claims = async () =>
  (await database.pool().query<{ run_id: string }>('select run_id from opsledger.job_claim')).rows.map(
    (row) => row.run_id,
  )

async function executed(work: string) {
  const verdict = await newWorker().operation(work, delivery(`${work}-1`))
  if (!verdict.executed) throw new Error(`refused: ${verdict.reason}`)
  return verdict.run.id
}

test('pruning the whole history re-admits nothing within the cooldown', async () => {
  const runId = await executed('cooling')
  const { ledger, operation } = newWorker()
  expect(await ledger.prune({ runsOlderThanMs: 0, claimsOlderThanMs: MINUTE_MS })).toMatchObject({
    claims: 0,
  })
  expect(await ledger.get(SCOPE, runId)).toBeNull()
  const refused = await operation('cooling', delivery('cooling-2'))
  expect(refused).toMatchObject({ executed: false, reason: 'cooldown', run: null, holder: { runId } })
  expect((refused as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(14 * MINUTE_MS)
})

test('a claim goes once it is past its cooldown for the age that was asked for, not before', async () => {
  const runId = await executed('aged')
  const { ledger, operation } = newWorker()
  const prune = () => ledger.prune({ runsOlderThanMs: DAY_MS, claimsOlderThanMs: 5 * MINUTE_MS })
  await age(runId, 19 * MINUTE_MS)
  expect(await prune()).toMatchObject({ claims: 0 })
  expect(await claims()).toContain(runId)
  await age(runId, 2 * MINUTE_MS)
  expect(await prune()).toMatchObject({ claims: 1 })
  expect(await claims()).not.toContain(runId)
  expect(await operation('aged', delivery('aged-2'))).toMatchObject({ executed: true })
})

test('a claim without a cooldown goes by its settlement', async () => {
  const { operation, ledger } = newWorker(() => {
    throw new Error('not yet')
  })
  await expect(operation('free', delivery('free-1', 1, 3))).rejects.toThrow('not yet')
  const [run] = await ledger.openRuns(SCOPE)
  await age(run!.id, 2 * MINUTE_MS)
  expect(await ledger.prune({ runsOlderThanMs: DAY_MS, claimsOlderThanMs: MINUTE_MS })).toMatchObject({
    claims: 1,
  })
  expect(await claims()).not.toContain(run!.id)
  expect(await ledger.get(SCOPE, run!.id)).toMatchObject({ status: 'retrying' })
})

test('by default claims stay for a day beyond their cooldown', async () => {
  const runId = await executed('default')
  const { ledger } = newWorker()
  await age(runId, DAY_MS)
  expect(await ledger.prune({ runsOlderThanMs: DAY_MS })).toMatchObject({ claims: 0 })
  await age(runId, 16 * MINUTE_MS)
  expect(await ledger.prune({ runsOlderThanMs: DAY_MS })).toMatchObject({ claims: 1 })
})

describe('while an execution goes on', () => {
  test('its claim, its run and its lease stay, however old they are', async () => {
    const latch = createLatch<string>()
    const holder = newWorker(latch.hold)
    const verdict = holder.operation('held', delivery('held-1'))
    await latch.entered
    const [run] = (await holder.ledger.openRuns(SCOPE)).filter(({ status }) => status === 'running')
    await age(run!.id, 100 * DAY_MS)
    const { ledger, operation } = newWorker()
    await ledger.prune({ runsOlderThanMs: 0, claimsOlderThanMs: MINUTE_MS })
    expect(await claims()).toContain(run!.id)
    expect(await operation('held', delivery('held-2'))).toMatchObject({ executed: false, reason: 'overlap' })
    latch.leave('done')
    expect(await verdict).toMatchObject({ executed: true, settlement: 'settled' })
  })

  test('a retired lease that its claim or its open run still names stays, so that the claim can be taken', async () => {
    const latch = createLatch<string>()
    const holder = newWorker(latch.hold)
    const verdict = holder.operation('retired', delivery('retired-1'))
    await latch.entered
    const [run] = (await holder.ledger.openRuns(SCOPE)).filter(({ status }) => status === 'running')
    const retire = `update opsledger.worker_lease set expires_at = started_at,
      retired_at = clock_timestamp() - interval '100 days' where id = $1`
    await database.pool().query(retire, [run!.workerId])
    const { ledger, operation } = newWorker()
    expect(await ledger.prune({ runsOlderThanMs: DAY_MS })).toEqual({ runs: 0, claims: 0, leases: 0 })
    const leases = () =>
      database.pool().query('select from opsledger.worker_lease where id = $1', [run!.workerId])
    expect((await leases()).rowCount).toBe(1)
    expect(await operation('retired', delivery('retired-2'))).toMatchObject({ executed: true })
    latch.leave('late')
    expect(await verdict).toMatchObject({ executed: true, settlement: 'superseded' })
    expect(await ledger.prune({ runsOlderThanMs: DAY_MS })).toMatchObject({ leases: 1 })
    expect((await leases()).rowCount).toBe(0)
  })
})

test('a held claim of a term retired long ago, whose run has ended, is litter and goes with its lease', async () => {
  const workerId = randomUUID()
  const identity = randomUUID()
  await database.pool().query(
    `insert into opsledger.worker_lease (id, host, pid, started_at, expires_at, retired_at)
     values ($1, 'h', 1, '2020-01-01', '2020-01-01', '2020-01-01')`,
    [workerId],
  )
  await database.pool().query(
    `insert into opsledger.job_claim
       (identity, work_key, lock_key, fence, claimed_at, worker_id, state, delivery_id)
     values ($1, $1, 1, nextval('opsledger.fence'), '2020-01-01', $2, 'held', 'd1')`,
    [identity, workerId],
  )
  expect(await newWorker().ledger.prune({ runsOlderThanMs: DAY_MS })).toMatchObject({ claims: 1, leases: 1 })
})

test('a lease that only a claim names stays as long as the claim', async () => {
  const workerId = randomUUID()
  await database.pool().query(
    `with lease as (
       insert into opsledger.worker_lease (id, host, pid, started_at, expires_at, retired_at)
       values ($1, 'h', 1, '2020-01-01', '2020-01-01', clock_timestamp() - interval '2 hours') returning id
     )
     insert into opsledger.job_claim
       (identity, work_key, lock_key, fence, claimed_at, worker_id, state, delivery_id)
     select gen_random_uuid(), gen_random_uuid(), 1, nextval('opsledger.fence'), '2020-01-01', id, 'held', 'd1'
     from lease`,
    [workerId],
  )
  const { ledger } = newWorker()
  const hour = 60 * MINUTE_MS
  const kept = await ledger.prune({ runsOlderThanMs: hour, claimsOlderThanMs: 3 * hour })
  expect(kept).toMatchObject({ claims: 0, leases: 0 })
  const gone = await ledger.prune({ runsOlderThanMs: hour, claimsOlderThanMs: hour })
  expect(gone).toMatchObject({ claims: 1, leases: 1 })
})

describe('a claim table of several hundred blocks', () => {
  const BATCH_BLOCKS = 256
  const fill = async () => {
    await database.pool().query('truncate opsledger.job_claim')
    await database.pool().query(
      `insert into opsledger.job_claim
         (identity, work_key, lock_key, fence, claimed_at, settled_at, cooldown_until, worker_id, state, delivery_id)
       select id, id, n, nextval('opsledger.fence'), '2020-01-01', '2020-01-01',
         case when n % 2 = 0 then timestamptz '2020-01-01' else clock_timestamp() + interval '15 minutes' end,
         gen_random_uuid(), 'cooling', repeat('x', 1000)
       from (select n, gen_random_uuid() as id from generate_series(1, 3000) as n) as claim`,
    )
    const { rows } = await database
      .pool()
      .query(`select (pg_relation_size('opsledger.job_claim') / 8192)::integer as blocks`)
    expect(rows[0].blocks).toBeGreaterThan(2 * BATCH_BLOCKS)
    return rows[0].blocks as number
  }

  test('is pruned in bounded batches, and every cooldown stays', async () => {
    const blocks = await fill()
    const { statements } = await countStatements(database.url, async (connection) => {
      const { ledger } = newWorker(() => {}, { connection })
      expect(await ledger.prune({ runsOlderThanMs: DAY_MS })).toMatchObject({ claims: 1_500 })
      await ledger.close()
    })
    expect(statements.filter((text) => text.includes('"prune_claims"'))).toHaveLength(
      Math.ceil(blocks / BATCH_BLOCKS),
    )
    const { rows } = await database.pool().query('select count(*)::int as left from opsledger.job_claim')
    expect(rows).toEqual([{ left: 1_500 }])
  })

  test('stops between two batches when the signal says so', async () => {
    await fill()
    const controller = new AbortController()
    let batches = 0
    const kysely = new Kysely<unknown>({
      dialect: new PostgresDialect({ pool: database.pool() }),
      log: ({ query }) => {
        if (!query.sql.includes('"prune_claims"')) return
        batches += 1
        controller.abort()
      },
    })
    const { ledger } = newWorker(() => {}, { kysely })
    const report = await ledger.prune({ runsOlderThanMs: DAY_MS, signal: controller.signal })
    expect(batches).toBe(1)
    expect(report.claims).toBeGreaterThan(0)
    expect(report.claims).toBeLessThan(1_500)
    expect(report.leases).toBe(0)
  })
})
