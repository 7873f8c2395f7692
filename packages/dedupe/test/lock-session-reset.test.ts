import { eventually, startProxy, waitUntilBlocked } from '@opsledger/testing'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { useLedgerDatabase } from './support/ledger.ts'
import { createLatch, foreignSession, listen, lockCount, racingWorker } from './support/racing-worker.ts'

const LOCKS = 'opsledger locks'
const database = useLedgerDatabase()

afterEach(async () => {
  await database.pool().query('drop trigger if exists refuse on opsledger.job_claim')
})

/** The claim of this identity waits for lock 77, and then fails with its locks taken. */
const refuse = (identity: string) =>
  database.pool().query(`
    create or replace function refuse() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(77);
      raise exception 'refused on purpose' using errcode = '22012';
    end $$;
    create trigger refuse before insert on opsledger.job_claim for each row
      when (new.identity = '${identity}') execute function refuse()`)

describe.each(['before', 'together with'])(
  'a reset of the lock session behind an admission whose answer comes %s its own',
  (order) => {
    it('asks again for the lock that it let go', async () => {
      const proxy = await startProxy(database.url)
      onTestFinished(() => proxy.stop())
      const executing = createLatch()
      let holds = false
      const { deliver, identify, guard, protect } = racingWorker(
        database,
        () => (holds ? executing.hold() : null),
        { connection: proxy.url },
      )
      const [refused, admitted] = [{ work: `refused ${order}` }, { work: `admitted ${order}` }]
      // A row of each is there: what is admitted next can be made to wait for its own.
      await deliver(admitted, 'before')
      await guard.release(identify(admitted))
      holds = true
      await refuse(identify(refused).identity)
      const [gate, row] = [await foreignSession(database), await foreignSession(database)]
      await gate.query('select pg_advisory_lock(77)')
      await row.query('begin')
      await row.query('select from opsledger.job_claim where identity = $1 for update', [
        identify(admitted).identity,
      ])

      // Not of one kind, so two statements: the second stands behind the first in the pipeline.
      const first = protect()(refused, { id: 'first', attempt: 1, maxAttempts: 3 })
      first.catch(() => {})
      await waitUntilBlocked(database.pool(), { applicationName: LOCKS })
      const secondSent = Promise.withResolvers<void>()
      const resetSent = Promise.withResolvers<void>()
      proxy.onClientData((_, chunk) => {
        if (chunk.includes('opsledger.admit')) secondSent.resolve()
        if (chunk.includes('unlock_all')) resetSent.resolve()
        return 'pass'
      })
      const second = deliver(admitted, 'second')
      await secondSent.promise
      await gate.query('select pg_advisory_unlock(77)')
      await resetSent.promise
      await waitUntilBlocked(database.pool(), { applicationName: LOCKS })
      if (order === 'together with') proxy.pause('to-client')
      await row.query('rollback')
      if (order === 'together with') {
        await eventually(async () => {
          const { rows } = await database.pool().query(
            `select from pg_stat_activity where application_name = $1 and datname = current_database()
               and state = 'idle' and query like '%unlock_all%'`,
            [LOCKS],
          )
          expect(rows).toHaveLength(1)
        })
        proxy.resume('to-client')
      }
      await expect(first).rejects.toThrow('refused on purpose')
      await executing.entered
      const lost = listen('opsledger:lock_session.lost')
      await eventually(async () => expect(await lockCount(database, identify(admitted).identity)).toBe(1))
      executing.end()
      expect(await second).toMatchObject({ executed: true, settlement: 'settled' })
      await eventually(async () => expect(await lockCount(database, identify(admitted).identity)).toBe(0))
      expect(lost).toEqual([])
    })
  },
)
