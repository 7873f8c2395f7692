import { createLedger, migrate } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import {
  countWritingTransactions,
  eventually,
  type Server,
  type StatementLog,
  startEmbeddedServer,
  startStatementLog,
} from '@opsledger/testing'
import pg from 'pg'
import { v7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { useLedgerDatabase } from './support/ledger.ts'

interface Payload {
  readonly work: string
}

/**
 * An operation through a statement log of its own, warmed up: connected, its migrations checked, its term registered,
 * its calls prepared. No renewal falls into a test.
 */
async function warmedUp(url: string, exclusion: 'session' | 'lease') {
  const log = await startStatementLog(url)
  const ledger = createLedger({ connection: log.url, leaseMs: 600_000 })
  onTestFinished(async () => {
    await ledger.close()
    await log.stop()
  })
  const latches = new Map<string, { entered: () => void; end: Promise<void> }>()
  let executions = 0
  const operation = ledger.operation({
    type: 'assignment.fetch',
    guard: createGuard(ledger, { exclusion }),
    scope: (_: Payload) => ({ workspaceId: 'w1', tenantId: 't1' }),
    fingerprint: ({ work }) => work,
    handler: async ({ payload }) => {
      executions++
      const latch = latches.get(payload.work)
      latch?.entered()
      await latch?.end
    },
  })
  const deliver = (work: string, id: string) => operation({ work }, { id, attempt: 1, maxAttempts: 3 })
  const warmUp = `warm-up-${v7()}`
  await deliver(warmUp, warmUp)
  if (exclusion === 'session') await unlocked(log)
  log.reset()
  return {
    log,
    deliver,
    executions: () => executions,
    /** The next execution of this work says when it runs, and runs until it is told to end. */
    latch(work: string) {
      const entered = Promise.withResolvers<void>()
      const end = Promise.withResolvers<void>()
      latches.set(work, { entered: entered.resolve, end: end.promise })
      return { entered: entered.promise, end: end.resolve }
    },
  }
}

/** The unlock that nobody awaits was sent and answered. */
const unlocked = (log: StatementLog) =>
  eventually(() => {
    const { statements, transactions } = log.counts()
    expect(statements.some((sql) => sql.includes('pg_advisory_unlock'))).toBe(true)
    expect(transactions).toBe(statements.length)
  })

/** Admissions go by two functions, the other of which has a longer name. */
const callsOf = (name: 'admit' | 'settle', { statements }: { statements: string[] }) =>
  statements.filter((sql) => sql.includes(`"${name}`)).length

describe.each(['session', 'lease'] as const)('exclusion by %s', (exclusion) => {
  const database = useLedgerDatabase()
  const start = () => warmedUp(database.url, exclusion)

  test('a job alone costs two awaited round trips: its admission and its settlement', async () => {
    const { log, deliver } = await start()
    const awaited = await log.record(() => deliver('alone', 'a1'))
    expect(awaited).toMatchObject({ roundTrips: 2, transactions: 2 })
    expect(awaited.statements.map((sql) => sql.match(/"(admit|settle)/)?.[1])).toEqual(['admit', 'settle'])
    if (exclusion === 'lease') return
    // What follows is not awaited: one statement that lets the lock go.
    await unlocked(log)
    const after = log.counts().statements.slice(2)
    expect(after).toEqual([expect.stringContaining('select pg_advisory_unlock')])
  })

  test('a job right behind another lets the lock of that one go on its way: no statement more', async () => {
    const { log, deliver } = await start()
    const counts = await log.record(async () => {
      await deliver('ahead', 'b1')
      await deliver('behind', 'b2')
    })
    const calls = counts.statements.map((sql) => sql.match(/"(admit|settle)/)?.[1])
    expect(calls).toEqual(['admit', 'settle', 'admit', 'settle'])
    if (exclusion === 'lease') return
    await unlocked(log)
    const { rows } = await database.pool().query(
      `select from pg_locks where locktype = 'advisory'
         and database = (select oid from pg_database where datname = current_database())`,
    )
    expect(rows).toEqual([])
  })

  test('a duplicate of work that runs in the same process costs no round trip', async () => {
    const { log, deliver, latch } = await start()
    const running = latch('duplicated')
    const holder = deliver('duplicated', 'd1')
    await running.entered
    const counts = await log.record(async () => {
      expect(await deliver('duplicated', 'd2')).toMatchObject({ reason: 'overlap', action: 'discard' })
      expect(await deliver('duplicated', 'd1')).toMatchObject({ reason: 'overlap', action: 'retry_later' })
    })
    expect(counts).toEqual({ statements: [], roundTrips: 0, transactions: 0 })
    running.end()
    await holder
  })

  test('fifty duplicates in flight at once cost one admission', async () => {
    const { log, deliver, latch, executions } = await start()
    const running = latch('stormed')
    const before = executions()
    log.reset()
    const deliveries = Array.from({ length: 50 }, (_, n) => deliver('stormed', `s${n}`))
    await running.entered
    running.end()
    const verdicts = await Promise.all(deliveries)
    expect(verdicts.filter((verdict) => verdict.executed)).toHaveLength(1)
    expect(executions() - before).toBe(1)
    const counts = log.counts()
    expect([callsOf('admit', counts), callsOf('settle', counts)]).toEqual([1, 1])
  })

  test('fifty duplicates of work that cools down, at once, cost one admission', async () => {
    const { log, deliver } = await start()
    await deliver('cooling', 'c')
    if (exclusion === 'session') await unlocked(log)
    const counts = await log.record(async () => {
      const verdicts = await Promise.all(Array.from({ length: 50 }, (_, n) => deliver('cooling', `c${n}`)))
      for (const verdict of verdicts) expect(verdict).toMatchObject({ reason: 'cooldown', action: 'discard' })
    })
    expect(counts).toMatchObject({ roundTrips: 1, transactions: 1 })
  })

  test('duplicates that come while the work settles wait for it and cost one admission', async () => {
    const { log, deliver, latch } = await start()
    const running = latch('settling')
    const holder = deliver('settling', 'h')
    await running.entered
    log.reset()
    running.end()
    // The settlement is under way as soon as the handler's promise has been heard of.
    while (callsOf('settle', log.counts()) === 0) await new Promise(setImmediate)
    const verdicts = await Promise.all(Array.from({ length: 20 }, (_, n) => deliver('settling', `w${n}`)))
    await holder
    for (const verdict of verdicts) {
      if (verdict.executed) throw new Error('A duplicate was executed')
      expect(['cooldown', 'overlap']).toContain(verdict.reason)
    }
    expect(callsOf('admit', log.counts())).toBeLessThanOrEqual(1)
  })

  test('64 deliveries that arrive together share: a handful of statements for all', async () => {
    const { log, deliver } = await start()
    const run = (prefix: string) =>
      Promise.all(Array.from({ length: 64 }, (_, n) => deliver(`${prefix}-${n}`, `${prefix}-${n}`)))
    await run('first')
    if (exclusion === 'session') await unlocked(log)
    const counts = await log.record(async () => {
      const verdicts = await run('second')
      expect(verdicts.every((verdict) => verdict.executed && verdict.settlement === 'settled')).toBe(true)
    })
    const calls = [callsOf('admit', counts), callsOf('settle', counts)]
    expect(calls[0]).toBe(1)
    expect(calls[1]).toBeLessThanOrEqual(2)
    expect(counts.roundTrips).toBeLessThanOrEqual(4)
  })
})

describe('writing transactions, on a server where nothing else writes', () => {
  let server: Server
  beforeAll(async () => {
    server = await startEmbeddedServer({ settings: { autovacuum: 'off' } })
    await migrate({ connection: server.url, with: [migrations] })
  })
  afterAll(() => server.stop())

  test.each(['session', 'lease'] as const)('exclusion by %s: a job alone costs two', async (exclusion) => {
    const { log, deliver } = await warmedUp(server.url, exclusion)
    const pool = new pg.Pool({ connectionString: server.url, max: 1 })
    try {
      const writing = await countWritingTransactions(pool, async () => {
        await deliver(`alone-${exclusion}`, 'a1')
        if (exclusion === 'session') await unlocked(log)
      })
      expect(writing).toBe(2)
      const refused = await countWritingTransactions(pool, () => deliver(`alone-${exclusion}`, 'a2'))
      expect(refused).toBe(0)
    } finally {
      await pool.end()
    }
  })
})
