import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  DatabaseUnavailableError,
  type Ledger,
  type LedgerEvents,
  type LedgerOptions,
  type SettlementAnswer,
} from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { eventually, type PostgresProxy, startProxy, waitUntilBlocked } from '@opsledger/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

/** Long enough that nothing happens by itself during a test. */
const LONG_LEASE_MS = 600_000

interface Payload {
  readonly work: string
}

const isAdmission = (sql: string) => /"admit_(one|unopposed)"\(/.test(sql)
const isSettlement = (sql: string) => /"settle(_one)?"\(/.test(sql)

describe.each(['session', 'lease'] as const)('exclusion by %s', (exclusion) => {
  const database = useLedgerDatabase()
  const newLedger = useLedgers(database)

  /** A worker whose connections all go through a proxy, warmed up. */
  const startWorker = async (options: Partial<LedgerOptions> = {}) => {
    const proxy = await startProxy(database.url)
    const ledger = newLedger({ connection: proxy.url, leaseMs: LONG_LEASE_MS, ...options })
    onTestFinished(async () => {
      proxy.onClientData(null)
      await ledger.close({ withinMs: 500 })
      await proxy.stop()
    })
    const worker = workerOf(ledger)
    await worker.deliver(`warm-up ${proxy.url}`, 'warm-up')
    return { ...worker, proxy, executions: () => worker.executions() - 1 }
  }

  const workerOf = (ledger: Ledger) => {
    let executions = 0
    let handler: (counts: { itemSucceeded(items?: number): void }) => unknown = () => 'done'
    const operation = ledger.operation({
      type: 'assignment.fetch',
      guard: createGuard(ledger, { exclusion }),
      scope: (_: Payload) => ({ workspaceId: 'w1', tenantId: 't1' }),
      fingerprint: ({ work }) => work,
      handler: async ({ counts }) => {
        executions++
        return handler(counts)
      },
    })
    return {
      deliver: (work: string, id: string, attempt = 1) =>
        operation({ work }, { id, attempt, maxAttempts: 3 }),
      executions: () => executions,
      handle(next: typeof handler) {
        handler = next
      },
      identify: (work: string) => operation.identify({ work }),
    }
  }

  /** A worker in another process, as far as the library can see. */
  const otherWorker = () => workerOf(newLedger())

  const read = async (identity: string) => {
    const { rows } = await database.pool().query(
      `select c.state, c.settled_at, c.cooldown_until, r.status, r.outcome, r.attempt, r.total, r.reason_code,
         r.completed_at, r.attempt_history
       from opsledger.job_claim c left join opsledger.operation_run r on r.id = c.run_id where c.identity = $1`,
      [identity],
    )
    return rows[0]
  }

  /** The network stays away from the end of this loss on. */
  const loseReplyAndStayAway = (proxy: PostgresProxy, isMeant: (sql: string) => boolean) => {
    proxy.loseReplyOf(isMeant).done.then(() => stayAway(proxy))
  }
  const stayAway = (proxy: PostgresProxy) => {
    proxy.onClientData(() => 'cut')
    proxy.cut()
  }

  const noLocks = () =>
    eventually(async () => {
      const { rows } = await database.pool().query(
        `select objid from pg_locks where locktype = 'advisory'
         and database = (select oid from pg_database where datname = current_database())`,
      )
      expect(rows).toEqual([])
    })

  describe('the reply of an admission is lost', () => {
    test('it is sent again, and the work executes once', async () => {
      const { deliver, executions, proxy, identify } = await startWorker()
      const { done } = proxy.loseReplyOf(isAdmission)
      expect(await deliver('a', 'a1')).toMatchObject({
        executed: true,
        settlement: 'settled',
        // The first admission had begun an attempt that nobody executed.
        run: { attempt: 2, pastAttempts: [{ attempt: 1, outcome: 'lost', deliveryId: 'a1' }] },
      })
      await done
      expect(executions()).toBe(1)
      expect(await read(identify('a').identity)).toMatchObject({ state: 'cooling', attempt: 2 })
      expect(await otherWorker().deliver('a', 'a2')).toMatchObject({ reason: 'cooldown' })
      await noLocks()
    })

    test('each of a batch executes once, and nothing is left held', async () => {
      const { deliver, executions, proxy } = await startWorker()
      proxy.loseReplyOf(isAdmission)
      const works = Array.from({ length: 20 }, (_, n) => `batch ${n}`)
      const verdicts = await Promise.all(works.map((work) => deliver(work, work)))
      expect(verdicts.every((verdict) => verdict.executed)).toBe(true)
      expect(executions()).toBe(20)
      const { rows } = await database.pool().query(`select from opsledger.job_claim where state = 'held'`)
      expect(rows).toEqual([])
      await noLocks()
    })

    test('and work that comes again after a failure finds nobody in its way', async () => {
      const { deliver, proxy, handle } = await startWorker()
      handle(() => {
        throw new Error('the provider is away')
      })
      proxy.loseReplyOf(isAdmission)
      await expect(deliver('b', 'b1')).rejects.toThrow('the provider is away')
      expect(await otherWorker().deliver('b', 'b1', 2)).toMatchObject({ executed: true, run: { attempt: 3 } })
    })
  })

  describe('the reply of a settlement is lost', () => {
    test('it is sent again, is told that it was settled, and changes nothing twice', async () => {
      const { deliver, executions, proxy, handle, identify } = await startWorker()
      handle((counts) => counts.itemSucceeded(7))
      const answers = listenForAnswers()
      const { done } = proxy.loseReplyOf(isSettlement)
      const delivering = deliver('c', 'c1')
      await done
      const first = await read(identify('c').identity)
      expect(first).toMatchObject({ state: 'cooling', status: 'completed', outcome: 'succeeded', total: 7 })
      expect(await delivering).toMatchObject({
        executed: true,
        settlement: 'already_settled',
        run: { completedAt: first.completed_at },
      })
      expect(await read(identify('c').identity)).toEqual(first)
      expect([executions(), answers()]).toEqual([1, ['already_settled']])
      await noLocks()
    })

    test('of an attempt to be retried: its error comes back, and the history knows it once', async () => {
      const { deliver, proxy, handle, identify } = await startWorker()
      const error = new Error('the provider is away')
      handle(() => {
        throw error
      })
      const answers = listenForAnswers()
      proxy.loseReplyOf(isSettlement)
      await expect(deliver('d', 'd1')).rejects.toBe(error)
      expect(answers()).toEqual(['already_settled'])
      const { state, status, attempt_history } = await read(identify('d').identity)
      expect({ state, status }).toEqual({ state: 'free', status: 'retrying' })
      expect(attempt_history).toMatchObject([{ attempt: 1, outcome: 'failed' }])
      expect(await otherWorker().deliver('d', 'd1', 2)).toMatchObject({ executed: true, run: { attempt: 2 } })
    })
  })

  describe('the database stays away beyond the settlement time-out', () => {
    test('the value comes back unconfirmed; later the kept settlement is written', async () => {
      const { deliver, proxy, handle, identify } = await startWorker({
        leaseMs: 1_000,
        settlementTimeoutMs: 200,
      })
      handle((counts) => {
        counts.itemSucceeded(3)
        stayAway(proxy)
        return 'precious'
      })
      expect(await deliver('e', 'e1')).toMatchObject({
        executed: true,
        value: 'precious',
        settlement: 'unconfirmed',
      })
      const { identity } = identify('e')
      expect(await read(identity)).toMatchObject({ state: 'held', status: 'running' })
      proxy.onClientData(null)
      await eventually(async () =>
        expect(await read(identity)).toMatchObject({ state: 'cooling', outcome: 'succeeded', total: 3 }),
      )
      expect(await otherWorker().deliver('e', 'e2')).toMatchObject({ reason: 'cooldown' })
    })

    test('what the handler threw comes back unchanged', async () => {
      const { deliver, proxy, handle } = await startWorker({ settlementTimeoutMs: 200 })
      const error = new Error('the provider is away')
      handle(() => {
        stayAway(proxy)
        throw error
      })
      const answers = listenForAnswers()
      await expect(deliver('f', 'f1')).rejects.toBe(error)
      expect(answers()).toEqual(['unconfirmed'])
    })

    test('the same work, come again, takes over at once; the kept settlement then changes nothing', async () => {
      const { deliver, proxy, handle, identify } = await startWorker({
        leaseMs: 1_000,
        settlementTimeoutMs: 200,
      })
      handle((counts) => {
        counts.itemSucceeded(3)
        stayAway(proxy)
      })
      expect(await deliver('g', 'g1')).toMatchObject({ settlement: 'unconfirmed' })
      // The network is back for everything but the kept settlement, until the work executes again.
      proxy.onClientData((_, chunk) => (chunk.includes('settle') ? 'cut' : 'pass'))
      handle(async (counts) => {
        const isResent = new Promise<void>((resolve) => {
          proxy.onClientData((_, chunk) => {
            if (chunk.includes('settle')) resolve()
            return 'pass'
          })
        })
        await isResent
        counts.itemSucceeded(9)
      })
      expect(await deliver('g', 'g2')).toMatchObject({
        executed: true,
        settlement: 'settled',
        run: { attempt: 2, pastAttempts: [{ attempt: 1, outcome: 'lost' }] },
      })
      const { identity } = identify('g')
      expect(await read(identity)).toMatchObject({ state: 'cooling', attempt: 2, total: 9 })
    })
  })

  describe('an admission that was given up had been committed', () => {
    test('the queue hears of it, and the claim is free within a lease, without cooldown', async () => {
      const { deliver, executions, proxy, identify } = await startWorker({
        leaseMs: 1_000,
        admissionTimeoutMs: 200,
      })
      loseReplyAndStayAway(proxy, isAdmission)
      await expect(deliver('i', 'i1')).rejects.toBeInstanceOf(DatabaseUnavailableError)
      expect(executions()).toBe(0)
      const { identity } = identify('i')
      expect(await read(identity)).toMatchObject({ state: 'held', status: 'running', attempt: 1 })
      proxy.onClientData(null)
      await eventually(async () =>
        expect(await read(identity)).toMatchObject({
          state: 'free',
          cooldown_until: null,
          status: 'retrying',
          attempt_history: [{ attempt: 1, outcome: 'lost', reasonCode: 'claim.lost' }],
        }),
      )
      expect(await otherWorker().deliver('i', 'i1')).toMatchObject({ executed: true, run: { attempt: 2 } })
    })

    test('the same work, come again, takes over at once', async () => {
      const { deliver, executions, proxy } = await startWorker({ admissionTimeoutMs: 200 })
      loseReplyAndStayAway(proxy, isAdmission)
      await expect(deliver('j', 'j1')).rejects.toBeInstanceOf(DatabaseUnavailableError)
      proxy.onClientData(null)
      expect(await deliver('j', 'j1')).toMatchObject({ executed: true, run: { attempt: 2 } })
      expect(executions()).toBe(1)
      await noLocks()
    })
  })

  /** Another reconnect, after which orphans were looked for: too early to find what has not been committed. */
  const reconnected = async ({ deliver, handle, proxy }: Awaited<ReturnType<typeof startWorker>>) => {
    handle(async () => {
      const isAsked = new Promise<void>((resolve) => {
        proxy.onClientData((_, chunk) => {
          if (chunk.includes('free_orphans')) resolve()
          return 'pass'
        })
      })
      proxy.cut()
      await isAsked
    })
    expect(await deliver('k neighbour', 'n1')).toMatchObject({ executed: true })
  }

  test('an admission that commits after it was sent again in vain is found and freed', async () => {
    const worker = await startWorker({ leaseMs: 1_500 })
    const { deliver, proxy, identify } = worker
    const { identity } = identify('k')
    await database.pool().query(
      `insert into opsledger.job_claim (identity, work_key, lock_key, fence, claimed_at, settled_at, worker_id, state,
         delivery_id)
       values ($1, $1, 0, 0, now(), now(), gen_random_uuid(), 'free', 'before')`,
      [identity],
    )
    const client = await database.pool().connect()
    try {
      await client.query('begin')
      await client.query('select from opsledger.job_claim where identity = $1 for update', [identity])
      const delivering = deliver('k', 'k1')
      await waitUntilBlocked(database.pool())
      proxy.cut()
      // Its first statement still stands before the row, with the lock in its hand.
      expect(await delivering).toMatchObject({ executed: false, reason: 'lock_busy', action: 'retry_later' })
      if (exclusion === 'session') await reconnected(worker)
      await client.query('commit')
    } finally {
      client.release()
    }
    await eventually(async () => expect(await read(identity)).toMatchObject({ state: 'held', attempt: 1 }))
    await eventually(async () =>
      expect(await read(identity)).toMatchObject({ state: 'free', status: 'retrying' }),
    )
    expect(await otherWorker().deliver('k', 'k1')).toMatchObject({ executed: true })
  })
})

describe('while an orphan is being freed', () => {
  const database = useLedgerDatabase()
  const newLedger = useLedgers(database)

  test('work that comes again waits for it, and cannot be freed in its place', async () => {
    await using proxy = await startProxy(database.url)
    const entered = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    const workerOf = (ledger: Ledger) => {
      const operation = ledger.operation({
        type: 'assignment.fetch',
        // By its lease alone: no lock would hide the mistake.
        guard: createGuard(ledger, { exclusion: 'lease' }),
        scope: (_: Payload) => ({ workspaceId: 'w1' }),
        fingerprint: ({ work }) => work,
        handler: async ({ payload, delivery }) => {
          if (payload.work !== 'slow' || delivery.id === 'contender') return
          entered.resolve()
          await end.promise
        },
      })
      return (work: string, id: string) => operation({ work }, { id, attempt: 1, maxAttempts: 3 })
    }
    const ledger = newLedger({ connection: proxy.url, leaseMs: 1_000, admissionTimeoutMs: 200 })
    const deliver = workerOf(ledger)
    await deliver('warm-up', 'w')
    // `free_orphans` as it is, once somebody lets it.
    await database.pool().query(`
      alter function opsledger.free_orphans rename to free_orphans_itself;
      create function opsledger.free_orphans(
        p_suspects jsonb, p_worker uuid, p_live_fences jsonb, p_newest_fence bigint)
      returns jsonb language plpgsql as $$
      begin
        perform pg_advisory_xact_lock(4711);
        return opsledger.free_orphans_itself(p_suspects, p_worker, p_live_fences, p_newest_fence);
      end $$`)
    const gate = await database.pool().connect()
    try {
      await gate.query('select pg_advisory_lock(4711)')
      proxy.loseReplyOf(isAdmission).done.then(() => {
        proxy.onClientData(() => 'cut')
        proxy.cut()
      })
      await expect(deliver('slow', 's1')).rejects.toBeInstanceOf(DatabaseUnavailableError)
      proxy.onClientData(null)
      await waitUntilBlocked(database.pool())
      const delivering = deliver('slow', 's1')
      // Three more through the same admission: a `slow` that waited for nothing would be admitted by now.
      for (const work of ['x', 'y', 'z']) await deliver(work, work)
      await gate.query('select pg_advisory_unlock(4711)')
      await entered.promise
      expect(await workerOf(newLedger())('slow', 'contender')).toMatchObject({ reason: 'overlap' })
      end.resolve()
      expect(await delivering).toMatchObject({ executed: true, settlement: 'settled' })
    } finally {
      gate.release(true)
    }
  })
})

describe('while what is executing moves to a new term', () => {
  const database = useLedgerDatabase()
  const newLedger = useLedgers(database)

  test.each(['session', 'lease'] as const)('a duplicate does not take it (%s)', async (exclusion) => {
    const ledger = newLedger({ leaseMs: 1_000 })
    const entered = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    let executing = 0
    let mostAtOnce = 0
    const job = ledger.systemJob({
      type: 'ops.reconcile_adapter_runs',
      workspaceId: (_: object) => exclusion,
      guard: createGuard(ledger, { exclusion }),
      handler: async () => {
        mostAtOnce = Math.max(mostAtOnce, ++executing)
        entered.resolve()
        if (mostAtOnce === 1) await end.promise
        executing--
      },
    })
    await database.pool().query(`
      alter function opsledger.adopt rename to adopt_itself;
      create function opsledger.adopt(p_executions jsonb, p_worker uuid)
      returns jsonb language plpgsql as $$
      begin
        perform pg_advisory_xact_lock(4712);
        return opsledger.adopt_itself(p_executions, p_worker);
      end $$`)
    const gate = await database.pool().connect()
    try {
      const holder = job({}, { id: 'h', attempt: 1, maxAttempts: 3 })
      await entered.promise
      await gate.query('select pg_advisory_lock(4712)')
      await database
        .pool()
        .query('update opsledger.worker_lease set expires_at = started_at, retired_at = clock_timestamp()')
      await waitUntilBlocked(database.pool())
      expect(await job({}, { id: 'd', attempt: 1, maxAttempts: 3 })).toMatchObject({
        executed: false,
        reason: 'overlap',
        action: 'discard',
        run: { outcome: 'skipped', reasonCode: 'run.overlap' },
      })
      await gate.query('select pg_advisory_unlock(4712)')
      end.resolve()
      expect(await holder).toMatchObject({ executed: true, settlement: 'settled' })
      expect(mostAtOnce).toBe(1)
    } finally {
      gate.release(true)
      await database.pool().query(`
        drop function opsledger.adopt;
        alter function opsledger.adopt_itself rename to adopt`)
    }
  })
})

describe('an admission whose answer came too late', () => {
  const database = useLedgerDatabase()
  const newLedger = useLedgers(database)

  const workerThrough = (ledger: Ledger, handler: () => void) => {
    const operation = ledger.operation({
      type: 'assignment.fetch',
      guard: createGuard(ledger, { exclusion: 'lease' }),
      scope: (_: Payload) => ({ workspaceId: 'w1', tenantId: 't1' }),
      fingerprint: ({ work }) => work,
      handler,
    })
    return Object.assign(
      (work: string, id: string) => operation({ work }, { id, attempt: 1, maxAttempts: 3 }),
      { identify: (work: string) => operation.identify({ work }) },
    )
  }

  const stateOf = async (identity: string) => {
    const { rows } = await database.pool().query(
      `select c.state, l.expires_at <= clock_timestamp() as is_expired
       from opsledger.job_claim c join opsledger.worker_lease l on l.id = c.worker_id where c.identity = $1`,
      [identity],
    )
    return rows[0]
  }

  test('taken meanwhile by another process: it asks again like any newcomer', async () => {
    await using proxy = await startProxy(database.url)
    const deliver = workerThrough(newLedger({ connection: proxy.url, leaseMs: 500 }), () => {})
    await deliver('warm-up', 'w')
    const other = workerThrough(newLedger(), () => {
      throw new Error('not this time')
    })
    proxy.pause('to-client')
    const late = deliver('l', 'l1')
    const { identity } = deliver.identify('l')
    await eventually(async () => expect(await stateOf(identity)).toMatchObject({ is_expired: true }))
    await expect(other('l', 'l2')).rejects.toThrow('not this time')
    proxy.resume('to-client')
    expect(await late).toMatchObject({ executed: true, settlement: 'settled', run: { attempt: 3 } })
  })

  test('and the database is away: it is given up, and the work comes again and executes', async () => {
    await using proxy = await startProxy(database.url)
    const ledger = newLedger({ connection: proxy.url, leaseMs: 500, admissionTimeoutMs: 300 })
    const deliver = workerThrough(ledger, () => {})
    await deliver('warm-up 2', 'w')
    proxy.pause('to-client')
    const late = deliver('m', 'm1')
    const { identity } = deliver.identify('m')
    await eventually(async () => expect(await stateOf(identity)).toMatchObject({ is_expired: true }))
    proxy.onClientData(() => 'cut')
    proxy.resume('to-client')
    await expect(late).rejects.toBeInstanceOf(DatabaseUnavailableError)
    proxy.onClientData(null)
    expect(await deliver('m', 'm1')).toMatchObject({ executed: true, run: { attempt: 2 } })
  })
})

/** What settlements were answered with from here on. */
function listenForAnswers(): () => SettlementAnswer[] {
  const answers: SettlementAnswer[] = []
  const listener = (message: unknown) => {
    answers.push((message as LedgerEvents['opsledger:run.settled']).answer)
  }
  subscribe('opsledger:run.settled', listener)
  onTestFinished(() => {
    unsubscribe('opsledger:run.settled', listener)
  })
  return () => answers
}
