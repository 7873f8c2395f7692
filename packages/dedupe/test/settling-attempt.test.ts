import { eventually } from '@opsledger/testing'
import type { Transaction } from 'kysely'
import { describe, expect, it } from 'vitest'
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
      if (name !== 'settle') return
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
