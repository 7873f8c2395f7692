import { randomUUID } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createLedger, migrate, type Run } from '@opsledger/core'
import { createDatabase, waitUntilBlocked } from '@opsledger/testing'
import pg from 'pg'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { createLatch, delivery, useCoreDatabase, useLedgers } from './support/ledger.ts'
import { insertRow, RUNS } from './support/rows.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

interface Payload {
  workspaceId?: string
  runId?: string
  work?: string
}

function operationOf(ledger: ReturnType<typeof ledgerOf>, handler: () => unknown, deliveryLimitMs?: number) {
  return ledger.operation({
    type: 'assignment.fetch',
    scope: ({ workspaceId = 'w1' }: Payload) => ({ workspaceId, tenantId: 't1' }),
    runId: ({ runId }) => runId,
    fingerprint: ({ work = 'f' }) => work,
    deliveryLimitMs,
    handler,
  })
}

/** An attempt in execution whose worker seems gone: its lease has run out. It ends as superseded with the test. */
async function leaveBehind(payload: Payload, deliveryId: string, attempt = 1) {
  const ledger = ledgerOf()
  const latch = createLatch()
  const verdict = operationOf(ledger, latch.hold)(payload, delivery(deliveryId, attempt, 9))
  await latch.entered
  await expireLeases()
  onTestFinished(async () => {
    latch.leave()
    expect(await verdict).toMatchObject({ executed: true, settlement: 'superseded' })
  })
  const { rows } = await database
    .pool()
    .query<{ id: string }>('select id from opsledger.operation_run where delivery_id = $1', [deliveryId])
  return rows[0]!.id
}

async function expireLeases(): Promise<void> {
  await database.pool().query('update opsledger.worker_lease set expires_at = started_at')
}

const scopeOf = (workspaceId: string) => ({ workspaceId, tenantId: 't1' })

describe('a run whose worker is gone', () => {
  test('is closed as failed, worker.lost, once, with a new fence', async () => {
    const runId = await leaveBehind({ workspaceId: 'once' }, 'once-1')
    const ledger = ledgerOf()
    const before = await ledger.get(scopeOf('once'), runId)
    const swept = await ledger.sweep({ workspaceId: 'once' })
    expect(swept).toEqual([
      {
        ...before,
        status: 'completed',
        outcome: 'failed',
        reasonCode: 'worker.lost',
        message: expect.stringMatching(/lease ran out/),
        counts: { total: 0, processed: 0, failed: 0 },
        fence: expect.any(Number),
        completedAt: expect.any(Date),
      },
    ])
    expect(swept[0]!.fence).toBeGreaterThan(before!.fence!)
    expect(await ledger.get(scopeOf('once'), runId)).toEqual(swept[0])
    expect(await ledger.sweep({ workspaceId: 'once' })).toEqual([])
  })

  test('is reopened by the next delivery that names it, with the lost attempt in its history', async () => {
    const runId = randomUUID()
    await leaveBehind({ workspaceId: 'named', runId }, 'named-1')
    const ledger = ledgerOf()
    await ledger.sweep({ workspaceId: 'named' })
    const again = operationOf(ledger, () => 'done')
    const verdict = await again({ workspaceId: 'named', runId }, delivery('named-2'))
    expect(verdict).toMatchObject({ executed: true, run: { id: runId, attempt: 2, outcome: 'succeeded' } })
    expect((await ledger.get(scopeOf('named'), runId))?.pastAttempts).toMatchObject([
      { attempt: 1, deliveryId: 'named-1', outcome: 'failed', reasonCode: 'worker.lost' },
    ])
  })

  test('is reopened by the retry of its own delivery when it has no run id to name', async () => {
    const runId = await leaveBehind({ workspaceId: 'unnamed' }, 'unnamed-1')
    const ledger = ledgerOf()
    await ledger.sweep({ workspaceId: 'unnamed' })
    const again = operationOf(ledger, () => 'done')
    const verdict = await again({ workspaceId: 'unnamed' }, delivery('unnamed-1', 2, 9))
    expect(verdict).toMatchObject({ executed: true, run: { id: runId, attempt: 2 } })
    const { runs } = await ledger.list(scopeOf('unnamed'))
    expect(runs).toHaveLength(1)
    expect(runs[0]?.pastAttempts).toMatchObject([{ attempt: 1, reasonCode: 'worker.lost' }])
  })

  test('keeps the counts of its last settled attempt, and none of the lost one', async () => {
    const ledger = ledgerOf()
    const runId = randomUUID()
    const failing = ledger.operation<Payload, void>({
      type: 'assignment.fetch',
      scope: () => scopeOf('counts'),
      runId: () => runId,
      handler: ({ counts }) => {
        counts.setTotal(5)
        counts.itemFailed('provider.rejected')
        throw new Error('not yet')
      },
    })
    await expect(failing({}, delivery('counts-1', 1, 9))).rejects.toThrow('not yet')
    await leaveBehind({ workspaceId: 'counts', runId }, 'counts-1', 2)
    const [swept] = await ledger.sweep({ workspaceId: 'counts' })
    expect(swept).toMatchObject({
      attempt: 2,
      counts: { total: 5, processed: 1, failed: 1 },
      itemFailures: { 'provider.rejected': 1 },
      progress: null,
    })
  })

  test('under a lease that was retired is closed as well', async () => {
    const id = randomUUID()
    const workerId = randomUUID()
    const pool = database.pool()
    await pool.query(
      `insert into opsledger.worker_lease (id, host, pid, expires_at, retired_at)
       values ($1, 'h', 1, clock_timestamp() + interval '1 hour', clock_timestamp())`,
      [workerId],
    )
    await insertRow(pool, 'operation_run', {
      ...RUNS.running(),
      id,
      workspace_id: 'retired',
      worker_id: workerId,
    })
    expect((await ledgerOf().sweep({ workspaceId: 'retired' })).map((run) => run.id)).toEqual([id])
  })
})

describe('a run that is left alone', () => {
  test('is one whose worker is alive', async () => {
    const ledger = ledgerOf()
    const latch = createLatch()
    const verdict = operationOf(ledger, latch.hold)({ workspaceId: 'alive' }, delivery('alive-1'))
    await latch.entered
    expect(await ledgerOf().sweep({ workspaceId: 'alive' })).toEqual([])
    latch.leave()
    expect(await verdict).toMatchObject({ executed: true, settlement: 'settled' })
  })

  test('is one whose lease cannot be seen: it counts as alive', async () => {
    await insertRow(database.pool(), 'operation_run', { ...RUNS.running(), workspace_id: 'unseen' })
    expect(await ledgerOf().sweep({ workspaceId: 'unseen' })).toEqual([])
  })

  test('is one of another workspace than the sweep is asked for', async () => {
    await leaveBehind({ workspaceId: 'here' }, 'here-1')
    const elsewhere = await leaveBehind({ workspaceId: 'elsewhere' }, 'elsewhere-1')
    const ledger = ledgerOf()
    const swept = await ledger.sweep({ workspaceId: 'here' })
    expect(swept.map((run) => run.scope.workspaceId)).toEqual(['here'])
    expect(await ledger.get(scopeOf('elsewhere'), elsewhere)).toMatchObject({ status: 'running' })
    expect((await ledger.sweep()).map((run) => run.id)).toContain(elsewhere)
  })

  test('is one whose lock somebody holds, until it is let go', async () => {
    const runId = await leaveBehind({ workspaceId: 'locked' }, 'locked-1')
    const holder = await database.pool().connect()
    try {
      await holder.query(
        'select pg_advisory_lock(opsledger.lock_key(identity)) from opsledger.operation_run where id = $1',
        [runId],
      )
      expect(await ledgerOf().sweep({ workspaceId: 'locked' })).toEqual([])
    } finally {
      await holder.query('select pg_advisory_unlock_all()')
      holder.release()
    }
    expect((await ledgerOf().sweep({ workspaceId: 'locked' })).map((run) => run.id)).toEqual([runId])
  })
})

test('a run that its process takes over to a new term at that very moment is left to it', async () => {
  const [gone, renewed] = [randomUUID(), randomUUID()]
  const run = { ...RUNS.running(), workspace_id: 'adopted', worker_id: gone }
  const pool = database.pool()
  await pool.query(
    `insert into opsledger.worker_lease (id, host, pid, started_at, expires_at) values
       ($1, 'h', 1, clock_timestamp(), clock_timestamp()),
       ($2, 'h', 1, clock_timestamp(), clock_timestamp() + interval '1 hour')`,
    [gone, renewed],
  )
  await insertRow(pool, 'operation_run', run)
  const adopter = await pool.connect()
  try {
    await adopter.query('begin')
    await adopter.query('select opsledger.adopt_runs($1, $2)', [
      JSON.stringify([{ run_id: run.id, fence: run.fence }]),
      renewed,
    ])
    const sweep = ledgerOf().sweep({ workspaceId: 'adopted' })
    await waitUntilBlocked(pool)
    await adopter.query('commit')
    expect(await sweep).toEqual([])
  } finally {
    adopter.release()
  }
  expect(await ledgerOf().get(scopeOf('adopted'), run.id)).toMatchObject({
    status: 'running',
    workerId: renewed,
  })
})

describe.each(['queued', 'retrying'] as const)('a run that is %s', (status) => {
  const LIMIT_MS = 60_000
  const workspaceId = `waiting-${status}`

  const waitFor = async (ageMs: number, type = 'assignment.fetch') => {
    const since = new Date(Date.now() - ageMs).toISOString()
    const row = RUNS[status]()
    await insertRow(database.pool(), 'operation_run', {
      ...row,
      workspace_id: workspaceId,
      type,
      created_at: status === 'queued' ? since : '2020-01-01T00:00:00Z',
      ...(status === 'retrying' ? { attempt_history: [{ attempt: 1, fence: 1, endedAt: since }] } : {}),
    })
    return row.id
  }

  test('beyond the limit of its type is closed as delivery.lost, within it stays', async () => {
    const late = await waitFor(2 * LIMIT_MS)
    const waiting = await waitFor(LIMIT_MS / 2)
    const otherType = await waitFor(2 * LIMIT_MS, 'assignment.restore')
    const ledger = ledgerOf()
    operationOf(ledger, () => {}, LIMIT_MS)

    const swept = await ledger.sweep({ workspaceId })
    const counts =
      status === 'queued' ? { total: 0, processed: 0, failed: 0 } : { total: 3, processed: 2, failed: 1 }
    expect(swept).toMatchObject([
      { id: late, status: 'completed', outcome: 'failed', reasonCode: 'delivery.lost', counts },
    ])
    expect(await ledger.sweep({ workspaceId })).toEqual([])
    expect((await ledger.openRuns(scopeOf(workspaceId))).map((run) => run.id).sort()).toEqual(
      [waiting, otherType].sort(),
    )

    const limited = await ledger.sweep({ workspaceId, deliveryLimitMs: { 'assignment.restore': LIMIT_MS } })
    expect(limited.map((run) => run.id)).toEqual([otherType])
  })

  test('of a type that nobody here knows waits for a day', async () => {
    const day = 24 * 60 * 60 * 1000
    const late = await waitFor(day + 60_000, 'unknown.type')
    await waitFor(day - 60_000, 'unknown.type')
    expect((await ledgerOf().sweep({ workspaceId })).map((run) => run.id)).toEqual([late])
  })
})

test('a delivery that comes after all reopens a run closed as delivery.lost', async () => {
  const ledger = ledgerOf()
  const operation = operationOf(ledger, () => 'done', 1)
  const runId = randomUUID()
  const payload = { workspaceId: 'late', runId }
  await operation.open(payload)
  await database
    .pool()
    .query(`update opsledger.operation_run set created_at = created_at - interval '1 s' where id = $1`, [
      runId,
    ])
  expect(await ledger.sweep({ workspaceId: 'late' })).toMatchObject([
    { id: runId, attempt: 0, reasonCode: 'delivery.lost' },
  ])
  expect(await operation(payload, delivery('late-1'))).toMatchObject({
    executed: true,
    run: { id: runId, attempt: 1, outcome: 'succeeded' },
  })
})

test.each([0.5, -1, Number.NaN, 2 ** 31, '5' as unknown as number])(
  'a delivery limit of %s ms is refused',
  async (limitMs) => {
    await expect(ledgerOf().sweep({ deliveryLimitMs: { 'a.b': limitMs } })).rejects.toThrow(
      /deliveryLimitMs\.a\.b is .*; allowed: a whole number of milliseconds/,
    )
  },
)

describe('thousands of lost runs', () => {
  /** A database of its own with runs of many dead workers, and of one whose locks are all held. */
  async function crowd(lost: number, held: number) {
    const own = await createDatabase(inject('opsledgerServer'))
    await migrate({ connection: own.url })
    const pool = new pg.Pool({ connectionString: own.url })
    await pool.query(
      `with dead as (
         insert into opsledger.worker_lease (id, host, pid, started_at, expires_at)
         select gen_random_uuid(), 'h', n, clock_timestamp(), clock_timestamp() from generate_series(0, 9) as n
         returning id, pid
       )
       insert into opsledger.operation_run
         (id, identity, work_key, workspace_id, type, status, attempt, fence, worker_id, created_at, started_at,
          delivery_id, delivery_attempt, delivery_maximum)
       select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'w' || n % 3,
         case when n < $2::integer then 'held.type' else 'lost.type' end, 'running', 1,
         nextval('opsledger.fence'), dead.id,
         -- many of one time, also across the end of a batch; the held ones first of all
         now() + (n / 30) * interval '1 s', clock_timestamp(), 'd' || n, 1, 1
       from generate_series(0, $1::integer + $2::integer - 1) as n join dead on dead.pid = n % 10`,
      [lost, held],
    )
    const ledgers = [0, 1].map(() => createLedger({ connection: own.url }))
    onTestFinished(async () => {
      await Promise.all(ledgers.map((ledger) => ledger.close()))
      await pool.end()
      await own.drop()
    })
    return { pool, ledgers }
  }
  const openIn = async (pool: { query: (text: string) => Promise<{ rows: { open: number }[] }> }) =>
    (await pool.query('select count(*)::int as open from opsledger.operation_run where completed_at is null'))
      .rows[0]!.open

  test('are closed once each by two sweeps at once, and none is left over for good', async () => {
    const { pool, ledgers } = await crowd(3_000, 0)
    const published: string[] = []
    const listen = (message: unknown) => published.push((message as { run: Run }).run.id)
    subscribe('opsledger:run.swept', listen)
    onTestFinished(() => void unsubscribe('opsledger:run.swept', listen))

    const both = (await Promise.all(ledgers.map((ledger) => ledger.sweep()))).flat()
    const rest = await ledgers[0]!.sweep()
    const ids = [...both, ...rest].map((run) => run.id)
    expect(ids).toHaveLength(3_000)
    expect(new Set(ids).size).toBe(3_000)
    expect(published.toSorted()).toEqual(ids.toSorted())
    expect(await openIn(pool)).toBe(0)
    const { rows } = await pool.query(
      `select distinct attempt, outcome, reason_code, fence > 3000 as is_newer from opsledger.operation_run`,
    )
    expect(rows).toEqual([{ attempt: 1, outcome: 'failed', reason_code: 'worker.lost', is_newer: true }])
  })

  test('are reached behind hundreds of older ones that cannot be closed', async () => {
    const { pool, ledgers } = await crowd(250, 350)
    const holder = await pool.connect()
    try {
      await holder.query(
        `select pg_advisory_lock(opsledger.lock_key(identity)) from opsledger.operation_run where type = 'held.type'`,
      )
      expect(await ledgers[0]!.sweep()).toHaveLength(250)
      expect(await openIn(pool)).toBe(350)
      expect(await ledgers[0]!.sweep()).toEqual([])
    } finally {
      await holder.query('select pg_advisory_unlock_all()')
      holder.release()
    }
    expect(await ledgers[0]!.sweep()).toHaveLength(350)
  })
})
