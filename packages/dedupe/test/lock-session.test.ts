import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  createLedger,
  LedgerClosedError,
  type LedgerEventName,
  type LedgerEvents,
  type LedgerOptions,
} from '@opsledger/core'
import { createGuard, type ExclusionMode, LockTableFullError } from '@opsledger/dedupe'
import { eventually, startProxy } from '@opsledger/testing'
import type pg from 'pg'
import { v7 } from 'uuid'
import { expect, onTestFinished, test } from 'vitest'
import { admitFunction } from '../src/sql/admit.ts'
import { replacing } from './concurrency/broken-sql.ts'
import { useLedgerDatabase } from './support/ledger.ts'

const database = useLedgerDatabase()

interface Payload {
  readonly work: string
  readonly runId?: string
}

/** A worker whose handlers run until they are told to end. */
function startWorker(options: Partial<LedgerOptions> & { exclusion?: ExclusionMode } = {}) {
  const { exclusion = 'session', ...ledgerOptions } = options
  const ledger = createLedger({ connection: database.url, ...ledgerOptions })
  onTestFinished(() => ledger.close({ withinMs: 500 }))
  const guard = createGuard(ledger, { exclusion })
  const signals = new Map<string, AbortSignal>()
  const entered = new Map<string, () => void>()
  const end = Promise.withResolvers<void>()
  const handler = async (work: string, signal: AbortSignal) => {
    signals.set(work, signal)
    const tell = entered.get(work)
    if (tell === undefined) return
    tell()
    await end.promise
  }
  const operation = ledger.operation({
    type: 'assignment.fetch',
    guard,
    scope: (_: Payload) => ({ workspaceId: 'w1', tenantId: 't1' }),
    runId: ({ runId }) => runId,
    fingerprint: ({ work }) => work,
    handler: ({ payload, signal }) => handler(payload.work, signal),
  })
  const systemJob = ledger.systemJob({
    type: 'ops.reconcile_adapter_runs',
    guard,
    workspaceId: ({ work }: Payload) => work,
    handler: ({ payload, signal }) => handler(payload.work, signal),
  })
  const delivery = (id: string = v7()) => ({ id, attempt: 1, maxAttempts: 3 })
  return {
    ledger,
    end: end.resolve,
    signals,
    deliver: (payload: Payload, id?: string) => operation(payload, delivery(id)),
    deliverSystem: (payload: Payload, id?: string) => systemJob(payload, delivery(id)),
    identify: (payload: Payload) => operation.identify(payload),
    /** Starts a delivery and resolves, with the promise of its verdict in a box, when its handler runs. */
    async hold(payload: Payload, deliver = (held: Payload) => operation(held, delivery())) {
      const isEntered = new Promise<void>((resolve) => entered.set(payload.work, resolve))
      const verdict = deliver(payload)
      await Promise.race([isEntered, verdict])
      return { verdict }
    },
  }
}

/** The advisory locks of this database, one per key and session that has it. */
async function advisoryLocks() {
  const { rows } = await database.pool().query<{ key: string; pid: number; applicationName: string }>(
    `select ((l.classid::bigint << 32) | l.objid::bigint)::text as key, l.pid,
       a.application_name as "applicationName"
     from pg_locks l join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.granted
       and l.database = (select oid from pg_database where datname = current_database())
     order by key`,
  )
  return rows
}

const noLocks = () => eventually(async () => expect(await advisoryLocks()).toEqual([]))

async function lockKeys(identities: readonly string[]): Promise<string[]> {
  const { rows } = await database
    .pool()
    .query<{ key: string }>(
      'select opsledger.lock_key(i)::text as key from unnest($1::uuid[]) as i order by 1',
      [identities],
    )
  return rows.map((row) => row.key)
}

async function lockSessions(): Promise<number[]> {
  const { rows } = await database
    .pool()
    .query<{ pid: number }>(
      `select pid from pg_stat_activity where application_name = 'opsledger locks' and datname = current_database()`,
    )
  return rows.map((row) => row.pid)
}

/** A session of somebody else. */
async function foreignSession(): Promise<pg.PoolClient> {
  const client = await database.pool().connect()
  onTestFinished(() => client.release(true))
  return client
}

function listen<N extends LedgerEventName>(name: N): LedgerEvents[N][] {
  const messages: LedgerEvents[N][] = []
  const listener = (message: unknown) => {
    messages.push(message as LedgerEvents[N])
  }
  subscribe(name, listener)
  onTestFinished(() => {
    unsubscribe(name, listener)
  })
  return messages
}

const SHORT_WAYS = {
  admit_unopposed: 'text, text, text, text, text, text, text, text, text, uuid, boolean, text',
  admit_one: 'uuid, uuid, text, text, text, text, integer, integer, jsonb, uuid, boolean, text',
}

/** An admission does its work, locks included, and then fails, until the answer is called. */
async function breakAdmission(errcode: string): Promise<() => Promise<void>> {
  for (const [name, parameters] of Object.entries(SHORT_WAYS)) {
    await database.pool().query(`
      alter function opsledger.${name} rename to ${name}_itself;
      create function opsledger.${name}(${parameters}) returns json language plpgsql as $$
      begin
        perform opsledger.${name}_itself($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);
        raise exception 'broken on purpose' using errcode = '${errcode}';
      end $$`)
  }
  let isBroken = true
  const mend = async () => {
    if (!isBroken) return
    isBroken = false
    for (const name of Object.keys(SHORT_WAYS)) {
      await database.pool().query(`
        drop function opsledger.${name};
        alter function opsledger.${name}_itself rename to ${name}`)
    }
  }
  onTestFinished(mend)
  return mend
}

test('a lock session that is terminated: handlers go on, locks come back, nobody gets in between', async () => {
  const worker = startWorker()
  const contenders = [startWorker(), startWorker({ exclusion: 'lease' })]
  for (const { deliver } of contenders) await deliver({ work: v7() })
  const works = ['one', 'two', 'three', 'four', 'five']
  const keys = await lockKeys(works.map((work) => worker.identify({ work }).identity))
  const running = await Promise.all(works.map((work) => worker.hold({ work })))
  const holder = (await advisoryLocks())[0]!.pid
  expect(await advisoryLocks()).toMatchObject(keys.map((key) => ({ key, pid: holder })))

  const lost = listen('opsledger:lock_session.lost')
  const restored = listen('opsledger:lock_session.restored')
  let isOver = false
  const contending = contenders.map(async ({ deliver }) => {
    let refusals = 0
    while (!isOver) {
      const verdicts = await Promise.all(works.map((work) => deliver({ work })))
      for (const verdict of verdicts) {
        expect(verdict).toMatchObject({ executed: false, holder: { pid: process.pid } })
        refusals++
      }
    }
    return refusals
  })
  await database.pool().query('select pg_terminate_backend($1, 5000)', [holder])
  await eventually(async () => {
    const locks = await advisoryLocks()
    expect(locks.filter((lock) => keys.includes(lock.key))).toHaveLength(keys.length)
    expect(locks.map((lock) => lock.pid)).not.toContain(holder)
  })
  isOver = true
  for (const refusals of await Promise.all(contending)) expect(refusals).toBeGreaterThan(0)
  expect(works.map((work) => worker.signals.get(work)!.aborted)).toEqual(works.map(() => false))
  worker.end()
  for (const { verdict } of running) {
    expect(await verdict).toMatchObject({ executed: true, settlement: 'settled', run: { attempt: 1 } })
  }
  expect(lost).toMatchObject([{ held: 5 }])
  expect(restored).toMatchObject([{ held: 5 }])
  await noLocks()
})

test('a lock that somebody else has after the reconnect is asked for until it is had, and aborts nothing', async () => {
  const proxy = await startProxy(database.url)
  const worker = startWorker({ connection: proxy.url, leaseMs: 600_000 })
  onTestFinished(() => proxy.stop())
  const { verdict } = await worker.hold({ work: 'six' })
  const [key] = await lockKeys([worker.identify({ work: 'six' }).identity])
  const restored = listen('opsledger:lock_session.restored')
  const foreign = await foreignSession()

  proxy.onClientData(() => 'cut')
  proxy.cut()
  await noLocks()
  await foreign.query('select pg_advisory_lock($1)', [key])
  proxy.onClientData(null)
  await eventually(() => expect(restored).toMatchObject([{ held: 1, relocked: 0 }]))
  expect(worker.signals.get('six')!.aborted).toBe(false)
  await foreign.query('select pg_advisory_unlock($1)', [key])
  await eventually(async () =>
    expect(await advisoryLocks()).toMatchObject([{ key, applicationName: 'opsledger locks' }]),
  )
  worker.end()
  expect(await verdict).toMatchObject({ settlement: 'settled' })
  await noLocks()
})

test('work that ends before its lock was had back leaves no lock behind', async () => {
  const proxy = await startProxy(database.url)
  const worker = startWorker({ connection: proxy.url, leaseMs: 600_000 })
  onTestFinished(() => proxy.stop())
  const { verdict } = await worker.hold({ work: 'seven' })
  const [key] = await lockKeys([worker.identify({ work: 'seven' }).identity])
  const restored = listen('opsledger:lock_session.restored')
  const foreign = await foreignSession()
  proxy.onClientData(() => 'cut')
  proxy.cut()
  await noLocks()
  await foreign.query('select pg_advisory_lock($1)', [key])
  proxy.onClientData(null)
  await eventually(() => expect(restored).toMatchObject([{ relocked: 0 }]))
  worker.end()
  await verdict
  await foreign.query('select pg_advisory_unlock($1)', [key])
  // Two more jobs: whatever was asked for in vain before them has been answered.
  await worker.deliver({ work: 'seven and a half' })
  await worker.deliver({ work: 'seven and three quarters' })
  await noLocks()
})

test.each([
  { errcode: '53200', error: LockTableFullError },
  { errcode: '22012', error: /broken on purpose/ },
])(
  'an admission that fails with locks taken ($errcode) keeps exactly what executes',
  async ({ errcode, error }) => {
    const worker = startWorker()
    const works = ['a', 'b', 'c'].map((work) => `${work} ${errcode}`)
    const keys = await lockKeys(works.map((work) => worker.identify({ work }).identity))
    const running = await Promise.all(works.map((work) => worker.hold({ work })))
    const mend = await breakAdmission(errcode)
    const failing = await Promise.allSettled(
      ['d', 'e'].map((work) => worker.deliver({ work: `${work} ${errcode}` })),
    )
    for (const { reason } of failing as PromiseRejectedResult[]) {
      expect(() => {
        throw reason
      }).toThrow(error)
    }
    expect((await advisoryLocks()).map((lock) => lock.key)).toEqual(keys)
    await mend()
    expect(await worker.deliver({ work: `d ${errcode}` })).toMatchObject({
      executed: true,
      run: { attempt: 1 },
    })
    worker.end()
    for (const { verdict } of running) expect(await verdict).toMatchObject({ settlement: 'settled' })
    await noLocks()
  },
)

test('a reset that meets a silent network gives the session up, and what executes is locked again', async () => {
  const proxy = await startProxy(database.url)
  const worker = startWorker({ connection: proxy.url, leaseMs: 2_000 })
  onTestFinished(() => proxy.stop())
  const { verdict } = await worker.hold({ work: 'eight' })
  const keys = await lockKeys([worker.identify({ work: 'eight' }).identity])
  const mend = await breakAdmission('22012')
  let dropped = 0
  proxy.onClientData((_, chunk) => (chunk.includes('unlock_all') && dropped++ === 0 ? 'drop' : 'pass'))
  await expect(worker.deliver({ work: 'nine' })).rejects.toThrow('broken on purpose')
  expect(dropped).toBeGreaterThan(1)
  await mend()
  await eventually(async () => expect((await advisoryLocks()).map((lock) => lock.key)).toEqual(keys))
  worker.end()
  expect(await verdict).toMatchObject({ settlement: 'settled' })
})

test('a lock session that falls silent while it is opened is given up, and another serves', async () => {
  const proxy = await startProxy(database.url)
  const worker = startWorker({ connection: proxy.url, leaseMs: 2_000 })
  onTestFinished(() => proxy.stop())
  let dropped = 0
  proxy.onClientData((_, chunk) =>
    chunk.includes('default_transaction_isolation') && chunk.includes('set ') && dropped++ === 0
      ? 'drop'
      : 'pass',
  )
  expect(await worker.deliver({ work: 'ten' })).toMatchObject({ executed: true })
  expect(dropped).toBe(2)
})

test.each(['default_transaction_isolation', 'tcp_keepalives_count'])(
  'one that falls silent at its setting %s leaves no session behind',
  async (setting) => {
    const proxy = await startProxy(database.url)
    const worker = startWorker({ connection: proxy.url, leaseMs: 2_000 })
    onTestFinished(() => proxy.stop())
    let dropped = 0
    proxy.onClientData((_, chunk) =>
      chunk.includes(setting) && chunk.includes('set ') && dropped++ === 0 ? 'drop' : 'pass',
    )
    expect(await worker.deliver({ work: `silent at ${setting}` })).toMatchObject({ executed: true })
    expect(dropped).toBeGreaterThan(1)
    // One of the worker's, none of the connection that was given up.
    await eventually(async () => expect(await lockSessions()).toHaveLength(1))
  },
)

test('after many runs no lock is left', async () => {
  const worker = startWorker()
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 60 }, (_, n) => worker.deliver({ work: `many ${round} ${n}` })))
  }
  await noLocks()
})

const duplicates = {
  'a system job': async () => {
    const worker = startWorker()
    const work = v7()
    const { verdict } = await worker.hold({ work }, (held) => worker.deliverSystem(held, 'first'))
    for (const id of ['second', 'third', 'first']) {
      expect(await worker.deliverSystem({ work }, id)).toMatchObject({ executed: false, reason: 'overlap' })
    }
    return { worker, verdict }
  },
  'another run id': async () => {
    const worker = startWorker()
    const work = v7()
    const { verdict } = await worker.hold({ work, runId: v7() })
    for (let n = 0; n < 3; n++) {
      expect(await worker.deliver({ work, runId: v7() })).toMatchObject({
        executed: false,
        reason: 'not_canonical',
        run: { outcome: 'skipped' },
      })
    }
    return { worker, verdict }
  },
}

test.each(Object.entries(duplicates))(
  'duplicates of %s asked through the database leave the lock count right',
  async (_, duplicate) => {
    const { worker, verdict } = await duplicate()
    expect(await advisoryLocks()).toHaveLength(1)
    worker.end()
    await verdict
    await noLocks()
  },
)

test.each(Object.entries(duplicates))(
  'mutant: a refusal that keeps its lock leaves one behind (%s)',
  async (_, duplicate) => {
    const admit = admitFunction('opsledger', 'opsledger')
    const sound = replacing(admit)
    const mutant = replacing(admit, ['if p_session and seen.got > 0 then', 'if false then'])
    await database.pool().query(mutant)
    onTestFinished(async () => {
      await database.pool().query(sound)
    })
    const { worker, verdict } = await duplicate()
    worker.end()
    await verdict
    // Two more jobs: their admission and unlock follow every unlock that was due before.
    await worker.deliver({ work: v7() })
    await worker.deliver({ work: v7() })
    const leftBehind = (await advisoryLocks()).length
    await worker.ledger.close()
    expect(leftBehind).toBeGreaterThan(0)
  },
)

test('row free, lock taken by a foreign session: busy, to be retried, and nothing is written', async () => {
  const worker = startWorker()
  const { identity } = worker.identify({ work: 'eleven' })
  const [key] = await lockKeys([identity])
  const foreign = await foreignSession()
  await foreign.query('select pg_advisory_lock($1)', [key])
  expect(await worker.deliver({ work: 'eleven' })).toMatchObject({
    executed: false,
    reason: 'lock_busy',
    action: 'retry_later',
    retryAfterMs: 1_000,
    holder: null,
    run: null,
  })
  const { rows } = await database
    .pool()
    .query('select from opsledger.operation_run where identity = $1', [identity])
  expect(rows).toEqual([])
  await foreign.query('select pg_advisory_unlock($1)', [key])
  expect(await worker.deliver({ work: 'eleven' })).toMatchObject({ executed: true })
})

test('row free, lock passed by: it is asked for again and had', async () => {
  const proxy = await startProxy(database.url)
  const worker = startWorker({ connection: proxy.url })
  onTestFinished(() => proxy.stop())
  await worker.deliver({ work: 'warm-up' })
  const [key] = await lockKeys([worker.identify({ work: 'twelve' }).identity])
  const foreign = await foreignSession()
  await foreign.query('select pg_advisory_lock($1)', [key])
  let asked = 0
  proxy.onClientData((_, chunk) => {
    // Refused once, it asks again: now the passer-by goes.
    if (chunk.includes('opsledger.admit') && ++asked === 2) {
      foreign.query('select pg_advisory_unlock($1)', [key])
    }
    return 'pass'
  })
  expect(await worker.deliver({ work: 'twelve' })).toMatchObject({ executed: true })
  expect(asked).toBeGreaterThan(1)
})

test('a ledger that is closed while its lock session is being opened leaves no connection', async () => {
  const proxy = await startProxy(database.url)
  // Each new connection takes the server a second: the ledger is closed before.
  const connection = { connectionString: proxy.url, options: '-c post_auth_delay=1' }
  const worker = startWorker({ connection, leaseMs: 600_000 })
  onTestFinished(() => proxy.stop())
  const others = await lockSessions()
  await worker.deliver({ work: 'thirteen' })
  await noLocks()
  const [own] = (await lockSessions()).filter((pid) => !others.includes(pid))
  const lost = listen('opsledger:lock_session.lost')
  await database.pool().query('select pg_terminate_backend($1, 5000)', [own])
  await eventually(() => expect(lost).toHaveLength(1))
  const opened = proxy.connections
  const delivering = worker.deliver({ work: 'fourteen' })
  delivering.catch(() => {})
  await eventually(() => expect(proxy.connections).toBe(opened + 1))
  await worker.ledger.close({ withinMs: 0 })
  await expect(delivering).rejects.toBeInstanceOf(LedgerClosedError)
  await eventually(async () => expect(await lockSessions()).toEqual(others))
})
