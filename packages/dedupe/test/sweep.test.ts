import { randomUUID } from 'node:crypto'
import { createLedger, migrate } from '@opsledger/core'
import { createGuard, type ExclusionMode } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { createDatabase, eventually, startProxy } from '@opsledger/testing'
import { startWorker } from '@opsledger/testing/vitest'
import pg from 'pg'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { createLatch, delivery } from '../../core/test/support/ledger.ts'
import { insertRow, RUNS } from '../../core/test/support/rows.ts'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const WORKER = new URL('./fixtures/sweep-worker.ts', import.meta.url)
const LEASE_MS = 600_000
const SCOPE = { workspaceId: 'w1', tenantId: 't1' }

interface Payload {
  runId?: string
  work?: string
}

describe.each(['session', 'lease'] as const)('in %s mode', (exclusion) => {
  const database = useLedgerDatabase()
  const ledgerOf = useLedgers(database)

  const newWorker = (handler: () => unknown = () => 'done', connection = database.url) => {
    const ledger = ledgerOf({ leaseMs: LEASE_MS, connection })
    const guard = createGuard(ledger, { exclusion })
    const operation = ledger.operation({
      type: 'assignment.fetch',
      scope: (_: Payload) => SCOPE,
      runId: ({ runId }) => runId,
      fingerprint: ({ work = 'f' }) => work,
      guard,
      deliveryLimitMs: 60_000,
      handler,
    })
    return { ledger, guard, operation }
  }

  const killWorker = async (payload: Payload, deliveryId: string) => {
    const worker = startWorker(WORKER, {
      args: [database.url, exclusion, JSON.stringify(payload), deliveryId],
    })
    const left = await worker.next<{ runId: string; workerId: string; fence: number }>()
    await worker.kill('SIGKILL')
    await locksAreFree()
    return left
  }
  /** The server has noticed that a session is gone, and nobody else is at work. */
  const locksAreFree = () =>
    eventually(async () => {
      const { rows } = await database.pool().query(
        `select count(*)::int as held from pg_locks
           where locktype = 'advisory' and database = (select oid from pg_database where datname = $1)`,
        [database.name],
      )
      expect(rows).toEqual([{ held: 0 }])
    })
  const expireLease = async (workerId: string) => {
    await database
      .pool()
      .query('update opsledger.worker_lease set expires_at = started_at where id = $1', [workerId])
  }
  const claimsOf = async (runId: string) =>
    (
      await database
        .pool()
        .query('select state, fence::int, cooldown_until from opsledger.job_claim where run_id = $1', [runId])
    ).rows

  describe('a run whose worker was killed', () => {
    test('stays while the lease lives, and is closed once when it has run out, its claim freed', async () => {
      const left = await killWorker({ work: 'killed' }, 'killed-1')
      const { ledger } = newWorker()
      expect(await ledger.sweep()).toEqual([])
      await expireLease(left.workerId)
      const swept = await ledger.sweep()
      expect(swept).toMatchObject([
        {
          id: left.runId,
          status: 'completed',
          outcome: 'failed',
          reasonCode: 'worker.lost',
          counts: { total: 0, processed: 0, failed: 0 },
        },
      ])
      expect(swept[0]!.fence).toBeGreaterThan(left.fence)
      expect(await claimsOf(left.runId)).toEqual([
        { state: 'free', fence: swept[0]!.fence, cooldown_until: null },
      ])
      expect(await ledger.sweep()).toEqual([])
    })

    test.each([
      ['without a run id, by its own delivery again', {}, 'same'],
      ['without a run id, by another delivery of the work', {}, 'other'],
      ['with its run id, by its own delivery again', { runId: randomUUID() }, 'same'],
      ['with its run id, by another delivery of the run', { runId: randomUUID() }, 'other'],
    ])('is reopened %s, at once, the lost attempt in its history', async (name, run, which) => {
      const payload = { ...run, work: name }
      const left = await killWorker(payload, `${name}-1`)
      await expireLease(left.workerId)
      const { ledger, operation } = newWorker()
      expect(await ledger.sweep()).toHaveLength(1)
      const again = which === 'same' ? delivery(`${name}-1`, 2, 3) : delivery(`${name}-2`)
      expect(await operation(payload, again)).toMatchObject({
        executed: true,
        run: { id: left.runId, attempt: 2, outcome: 'succeeded' },
        settlement: 'settled',
      })
      const { runs } = await ledger.list(SCOPE, { limit: 500 })
      expect(
        runs.filter((found) => found.workKey === runs.find(({ id }) => id === left.runId)!.workKey),
      ).toMatchObject([
        { id: left.runId, pastAttempts: [{ attempt: 1, outcome: 'failed', reasonCode: 'worker.lost' }] },
      ])
      expect(await operation(payload, delivery(`${name}-3`))).toMatchObject({
        executed: false,
        reason: 'cooldown',
      })
    })

    test('that was opened at dispatch is reopened by a later delivery that names it', async () => {
      const { ledger, operation } = newWorker()
      const { run } = await operation.open({ work: 'opened' })
      const left = await killWorker({ work: 'opened', runId: run.id }, 'opened-1')
      expect(left.runId).toBe(run.id)
      await expireLease(left.workerId)
      await ledger.sweep()
      expect(await operation({ work: 'opened', runId: run.id }, delivery('opened-2'))).toMatchObject({
        executed: true,
        run: { id: run.id, attempt: 2 },
      })
    })
  })

  test('a process that was only cut off is told: its late settlement changes nothing', async () => {
    const proxy = await startProxy(database.url)
    onTestFinished(() => proxy.stop())
    const latch = createLatch<string>()
    const holder = newWorker(latch.hold, proxy.url)
    const verdict = holder.operation({ work: 'late' }, delivery('late-1'))
    await latch.entered
    const { ledger } = newWorker()
    const [run] = await ledger.openRuns(SCOPE)
    proxy.pause()
    proxy.cut()
    await locksAreFree()
    await expireLease(run!.workerId!)
    expect(await ledger.sweep()).toMatchObject([{ id: run!.id, reasonCode: 'worker.lost' }])
    proxy.resume()
    latch.leave('too late')
    expect(await verdict).toMatchObject({ executed: true, value: 'too late', settlement: 'superseded' })
    expect(await ledger.get(SCOPE, run!.id)).toMatchObject({ outcome: 'failed', reasonCode: 'worker.lost' })
  })

  test.runIf(exclusion === 'session')(
    'a worker whose lease ran out but whose lock session lives is left alone, and settles',
    async () => {
      const latch = createLatch()
      const holder = newWorker(latch.hold)
      const verdict = holder.operation({ work: 'alive' }, delivery('alive-1'))
      await latch.entered
      const [run] = await holder.ledger.openRuns(SCOPE)
      await expireLease(run!.workerId!)
      expect(await newWorker().ledger.sweep()).toEqual([])
      expect(await holder.ledger.sweep()).toEqual([])
      latch.leave()
      expect(await verdict).toMatchObject({ executed: true, settlement: 'settled' })
    },
  )

  test('a worker that is alive by its lease is left alone', async () => {
    const latch = createLatch()
    const verdict = newWorker(latch.hold).operation({ work: 'leased' }, delivery('leased-1'))
    await latch.entered
    expect(await newWorker().ledger.sweep()).toEqual([])
    latch.leave()
    expect(await verdict).toMatchObject({ executed: true, settlement: 'settled' })
  })

  test.each(['queued', 'retrying'] as const)(
    'a run that is %s beyond its limit is closed as delivery.lost, without a cooldown, and reopened by a late delivery',
    async (status) => {
      const runId = randomUUID()
      const payload = { work: `undelivered-${status}`, runId }
      let fails = true
      const { ledger, operation } = newWorker(() => {
        if (fails) throw new Error('not yet')
        return 'done'
      })
      if (status === 'queued') await operation.open(payload)
      else await expect(operation(payload, delivery('u-1', 1, 3))).rejects.toThrow('not yet')
      expect(await ledger.get(SCOPE, runId)).toMatchObject({ status })
      expect(await ledger.sweep()).toEqual([])

      const late = new Date(Date.now() - 61_000).toISOString()
      await database.pool().query(
        `update opsledger.operation_run set created_at = $2::timestamptz, attempt_history =
           case when attempt_history is not null
             then jsonb_set(attempt_history, '{-1,endedAt}', to_jsonb($2::timestamptz)) end
         where id = $1`,
        [runId, late],
      )
      expect(await ledger.sweep()).toMatchObject([
        { id: runId, status: 'completed', outcome: 'failed', reasonCode: 'delivery.lost' },
      ])
      expect(await ledger.sweep()).toEqual([])
      fails = false
      expect(await operation(payload, delivery('u-1', 2, 3))).toMatchObject({
        executed: true,
        run: { id: runId, attempt: status === 'queued' ? 1 : 2 },
      })
    },
  )

  test('a claim that somebody is at is passed over, and swept the next time', async () => {
    const left = await killWorker({ work: 'at' }, 'at-1')
    await expireLease(left.workerId)
    const { ledger } = newWorker()
    const client = await database.pool().connect()
    try {
      await client.query('begin')
      await client.query('select from opsledger.job_claim where run_id = $1 for update', [left.runId])
      expect(await ledger.sweep()).toEqual([])
    } finally {
      await client.query('rollback')
      client.release()
    }
    expect(await ledger.sweep()).toHaveLength(1)
  })

  test('thousands of lost runs are closed once each by two sweeps at once, and every claim is freed', async () => {
    const { pool, ledgers } = await crowd(exclusion, 2_000)
    const both = (await Promise.all(ledgers.map((ledger) => ledger.sweep()))).flat()
    const rest = await ledgers[0]!.sweep()
    const ids = [...both, ...rest].map((run) => run.id)
    expect(ids).toHaveLength(2_000)
    expect(new Set(ids).size).toBe(2_000)
    const { rows } = await pool.query(
      `select c.state, r.outcome, c.fence = r.fence as is_same_fence, c.cooldown_until, count(*)::int
       from opsledger.job_claim c join opsledger.operation_run r on r.id = c.run_id group by 1, 2, 3, 4`,
    )
    expect(rows).toEqual([
      { state: 'free', outcome: 'failed', is_same_fence: true, cooldown_until: null, count: 2_000 },
    ])
  })

  test('a run that waits is not swept for a lease that ran out', async () => {
    await insertRow(database.pool(), 'operation_run', {
      ...RUNS.retrying(),
      workspace_id: 'waits',
      created_at: new Date().toISOString(),
      attempt_history: [{ attempt: 1, endedAt: new Date().toISOString() }],
    })
    expect(await newWorker().ledger.sweep({ workspaceId: 'waits' })).toEqual([])
  })
})

/** A database of its own with runs and claims of ten dead workers. */
async function crowd(exclusion: ExclusionMode, size: number) {
  const own = await createDatabase(inject('opsledgerServer'))
  await migrate({ connection: own.url, with: [migrations] })
  const pool = new pg.Pool({ connectionString: own.url })
  await pool.query(
    `with dead as (
       insert into opsledger.worker_lease (id, host, pid, started_at, expires_at)
       select gen_random_uuid(), 'h', n, clock_timestamp(), clock_timestamp() from generate_series(0, 9) as n
       returning id, pid
     ), run as (
       insert into opsledger.operation_run
         (id, identity, work_key, workspace_id, type, status, attempt, fence, worker_id, created_at, started_at,
          delivery_id, delivery_attempt, delivery_maximum)
       select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'w1', 'a.b', 'running', 1,
         nextval('opsledger.fence'), dead.id, now() + (n / 50) * interval '1 s', clock_timestamp(),
         'd' || n, 1, 1
       from generate_series(1, $1::integer) as n join dead on dead.pid = n % 10
       returning *
     )
     insert into opsledger.job_claim
       (identity, work_key, lock_key, fence, claimed_at, worker_id, run_id, state, delivery_id)
     select identity, work_key, opsledger.lock_key(identity), fence, started_at, worker_id, id, 'held', delivery_id
     from run`,
    [size],
  )
  const ledgers = [0, 1].map(() => {
    const ledger = createLedger({ connection: own.url, leaseMs: LEASE_MS })
    ledger.systemJob({
      type: 'a.b',
      workspaceId: () => 'w1',
      guard: createGuard(ledger, { exclusion }),
      handler: () => {},
    })
    return ledger
  })
  onTestFinished(async () => {
    await Promise.all(ledgers.map((ledger) => ledger.close()))
    await pool.end()
    await own.drop()
  })
  return { pool, ledgers }
}
