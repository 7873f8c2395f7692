import { TransactionUnconfirmedError } from '@opsledger/core'
import { eventually, startProxy } from '@opsledger/testing'
import type { Transaction } from 'kysely'
import { describe, expect, it, onTestFinished } from 'vitest'
import { useLedgerDatabase } from './support/ledger.ts'
import { claimOf, gateCommits, listen, racingWorker, terminateLockSessions } from './support/racing-worker.ts'

const database = useLedgerDatabase()

describe('an attempt that is over is no loss to anybody, when the lock session comes back and asks', () => {
  it('and its settlement is on its way: nothing is aborted', async () => {
    const aborted = listen('opsledger:run.aborted')
    const [settled, adopted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const worker = racingWorker(database)
    worker.onAnswer(async (name) => {
      if (name === 'adopt') adopted.resolve()
      if (!name.startsWith('settle')) return
      settled.resolve()
      await adopted.promise
    })
    const delivery = worker.deliver({ work: 'settling' }, 'd1')
    await settled.promise
    await terminateLockSessions(database)
    expect(await delivery).toMatchObject({ settlement: 'settled', run: { outcome: 'succeeded' } })
    expect(aborted).toEqual([])
  })

  it('and it was settled in its own transaction: its handler ends in peace', async () => {
    const aborted = listen('opsledger:run.aborted')
    const [settled, adopted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const worker = racingWorker(database, async ({ run, signal }) => {
      await run.transaction(async () => {}, { settles: true })
      settled.resolve()
      await adopted.promise
      // What the answer led to has been done by then.
      await new Promise((resolve) => setImmediate(resolve))
      signal.throwIfAborted()
      return 'tidied up'
    })
    worker.onAnswer((name) => {
      if (name === 'adopt') adopted.resolve()
    })
    const delivery = worker.conclude({ work: 'settled' }, 'd1')
    await settled.promise
    await terminateLockSessions(database)
    expect(await delivery).toMatchObject({ executed: true, threw: false, value: 'tidied up' })
    expect(aborted).toEqual([])
  })
})

describe('a handler that fails while its settling transaction is in its commit', () => {
  it.each([1, 3])('is told what the row says, on attempt 1 of %s', async (maxAttempts) => {
    const events = listen('opsledger:run.settled')
    const gate = await gateCommits(database)
    const thrown = Promise.withResolvers<void>()
    const failure = new Error('something beside it failed')
    const worker = racingWorker(database, async ({ run, counts }) => {
      counts.itemSucceeded(3)
      const insert = (trx: Transaction<{ gated: { work: string } }>) =>
        trx.insertInto('gated').values({ work: 'gated' }).execute()
      run.transaction(insert, { settles: true }).catch(() => {})
      await gate.reached()
      thrown.resolve()
      throw failure
    })
    const work = `in its commit, ${maxAttempts}`
    const concluding = worker.conclude({ work }, 'd1', 1, maxAttempts)
    await thrown.promise
    await gate.open()
    const conclusion = await concluding
    expect(conclusion).toMatchObject({
      threw: true,
      error: failure,
      settlement: 'settled',
      isHandedBack: false,
      run: { status: 'completed', outcome: 'succeeded', counts: { processed: 3 } },
    })
    expect(events).toMatchObject([{ answer: 'settled', settlement: { outcome: 'succeeded' } }])
    await eventually(async () =>
      expect(await claimOf(database, worker.identify({ work }).identity)).toMatchObject({
        state: 'cooling',
        status: 'completed',
        outcome: 'succeeded',
      }),
    )
  })

  it('keeps the failure where the transaction is rolled back', async () => {
    const gate = await gateCommits(database)
    const thrown = Promise.withResolvers<void>()
    const worker = racingWorker(database, async ({ run }) => {
      const insert = (trx: Transaction<{ gated: { work: string } }>) =>
        trx.insertInto('gated').values({ work: 'gated' }).execute()
      run.transaction(insert, { settles: true }).catch(() => {})
      await gate.reached()
      thrown.resolve()
      throw new Error('something beside it failed')
    })
    const concluding = worker.conclude({ work: 'rolled back' }, 'd1')
    await thrown.promise
    await database.pool().query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity
       where application_name = 'opsledger host' and datname = current_database()`,
    )
    expect(await concluding).toMatchObject({
      threw: true,
      settlement: 'settled',
      run: { status: 'retrying', outcome: 'pending' },
    })
  })
})

describe('a settling transaction whose commit nobody could confirm, on the last attempt', () => {
  /** The database is away from the commit on, until the handler has learned that nobody knows. */
  async function concludeInDoubt(
    work: string,
    {
      isCommitted = false,
      comesBack = true,
      isSwallowed = false,
      onAnswer = (_: string): unknown => null,
      settlementTimeoutMs = 300,
      exclusion = 'session' as 'session' | 'lease',
    },
  ) {
    const proxy = await startProxy(database.url)
    let isAway = false
    const worker = racingWorker(
      database,
      async ({ run, counts }) => {
        counts.itemSucceeded(3)
        proxy.onClientData((_, chunk) => {
          if (!isCommitted) isAway ||= chunk.includes('commit\0')
          return isAway ? 'cut' : 'pass'
        })
        const away = async () => {
          if (!isCommitted) return
          proxy
            .loseReplyOf((text) => text === 'commit')
            .done.then(() => {
              isAway = true
              proxy.cut()
            })
        }
        try {
          await run.transaction(away, { settles: true })
        } catch (error) {
          if (!isSwallowed) throw error
        } finally {
          isAway &&= !comesBack
          if (comesBack) proxy.onClientData(null)
        }
      },
      { connection: proxy.url, settlementTimeoutMs, exclusion },
    )
    onTestFinished(async () => {
      proxy.onClientData(null)
      await worker.ledger.close({ withinMs: 500 })
      await proxy.stop()
    })
    worker.onAnswer(onAnswer)
    const conclusion = await worker.conclude({ work }, work, 1, 1)
    proxy.onClientData(null)
    return { worker, conclusion }
  }

  it('and that took place: the answer says so, once the database can be asked', async () => {
    const { conclusion } = await concludeInDoubt('took place', { isCommitted: true })
    expect(conclusion).toMatchObject({
      threw: true,
      error: expect.any(TransactionUnconfirmedError),
      settlement: 'already_settled',
      isHandedBack: false,
      run: { status: 'completed', outcome: 'succeeded', counts: { processed: 3 } },
    })
  })

  it('and that was rolled back: the delivery goes back, and executes', async () => {
    const { conclusion } = await concludeInDoubt('rolled back', {})
    expect(conclusion).toMatchObject({
      threw: true,
      settlement: 'settled',
      isHandedBack: true,
      run: { status: 'retrying' },
    })
    const again = racingWorker(database)
    expect(await again.conclude({ work: 'rolled back' }, 'rolled back', 1, 1)).toMatchObject({
      executed: true,
    })
  })

  it('and that was rolled back, under a handler that went on: the delivery goes back all the same', async () => {
    const { conclusion } = await concludeInDoubt('swallowed', { isSwallowed: true })
    expect(conclusion).toMatchObject({
      threw: true,
      error: expect.any(TransactionUnconfirmedError),
      isHandedBack: true,
      run: { status: 'retrying' },
    })
  })

  it('and that was rolled back: what another attempt ended meanwhile is not taken for its own end', async () => {
    const other = racingWorker(database, ({ counts }) => counts.itemSucceeded(7))
    let isLost = false
    const { conclusion } = await concludeInDoubt('ended by another', {
      settlementTimeoutMs: 2_000,
      // Nothing but the row keeps the other one away, until it is settled.
      exclusion: 'lease',
      // The settlement was written, its reply is lost, and another delivery is faster than the next try.
      async onAnswer(name) {
        if (!name.startsWith('settle') || isLost) return
        isLost = true
        const verdict = await other.deliver({ work: 'ended by another' }, 'other')
        expect(verdict).toMatchObject({ executed: true, run: { attempt: 2, outcome: 'succeeded' } })
        throw new Error('Connection terminated unexpectedly')
      },
    })
    expect(isLost).toBe(true)
    expect(conclusion).toMatchObject({
      threw: true,
      settlement: 'already_settled',
      isHandedBack: true,
      run: { status: 'retrying' },
    })
  })

  it('for as long as anybody asks: the delivery goes back, and is refused if it took place', async () => {
    const { conclusion } = await concludeInDoubt('away', { isCommitted: true, comesBack: false })
    expect(conclusion).toMatchObject({ threw: true, settlement: 'unconfirmed', isHandedBack: true })
    const again = racingWorker(database)
    expect(await again.conclude({ work: 'away' }, 'away', 1, 1)).toMatchObject({
      executed: false,
      reason: 'already_terminal',
      run: { outcome: 'succeeded' },
    })
  })
})

describe('a claim whose host is in its commit when its term was retired', () => {
  it.each([true, false])('keeps no neighbour from moving to the new one (guarded: %s)', async (isGuarded) => {
    const aborted = listen('opsledger:run.aborted')
    const gate = await gateCommits(database)
    const [entered, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const worker = racingWorker(
      database,
      async ({ run, payload }) => {
        if (payload.work.startsWith('neighbour')) {
          entered.resolve()
          await end.promise
          return
        }
        await run.transaction((trx: Transaction<{ gated: { work: string } }>) =>
          trx.insertInto('gated').values({ work: 'gated' }).execute(),
        )
        await end.promise
      },
      { exclusion: 'lease', isGuarded, leaseMs: 3_000 },
    )
    const suffix = isGuarded ? 'guarded' : 'recorded'
    const neighbour = worker.deliver({ work: `neighbour ${suffix}` }, 'd1')
    await entered.promise
    const committing = worker.deliver({ work: `in its commit ${suffix}` }, 'd2')
    await gate.reached()
    const pool = database.pool()
    const { rows } = await pool.query(
      `update opsledger.worker_lease l set retired_at = clock_timestamp(), expires_at = started_at
       where exists (select from opsledger.operation_run r where r.worker_id = l.id and r.status = 'running')
       returning id`,
    )
    const retired = rows[0].id
    const hasMoved = (deliveryId: string) =>
      eventually(async () => {
        const moved = await pool.query(
          `select worker_id from opsledger.operation_run where status = 'running' and delivery_id = $1`,
          [deliveryId],
        )
        expect(moved.rows[0].worker_id).not.toBe(retired)
      })
    await hasMoved('d1')
    await gate.open()
    // It is asked about again, and follows.
    await hasMoved('d2')
    end.resolve()
    expect(await committing).toMatchObject({ settlement: 'settled' })
    expect(await neighbour).toMatchObject({ settlement: 'settled' })
    expect(aborted).toEqual([])
  })
})
