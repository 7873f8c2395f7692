import { eventually } from '@opsledger/testing'
import { expect, it } from 'vitest'
import { useLedgerDatabase } from './support/ledger.ts'
import {
  createLatch,
  foreignSession,
  listen,
  racingWorker,
  terminateLockSessions,
} from './support/racing-worker.ts'

const database = useLedgerDatabase()

it('an adoption that comes late moves nothing back to the term that was retired meanwhile', async () => {
  const pool = database.pool()
  const work = 'adopted late'
  const aborted = listen('opsledger:run.aborted')
  const executing = createLatch()
  const worker = racingWorker(database, executing.hold, { leaseMs: 3_000 })
  const delivery = worker.deliver({ work }, 'd1')
  await executing.entered
  const { identity } = worker.identify({ work })
  const workerOf = async (): Promise<string> =>
    (await pool.query('select worker_id from opsledger.job_claim where identity = $1', [identity])).rows[0]
      .worker_id
  const retired = await workerOf()
  const gate = await foreignSession(database)
  await gate.query('select pg_advisory_lock(79)')
  await pool.query(`
    alter function opsledger.adopt rename to adopt_itself;
    create function opsledger.adopt(p_executions jsonb, p_worker uuid) returns jsonb language plpgsql as $$
    begin
      if p_worker = '${retired}' then perform pg_advisory_xact_lock(79); end if;
      return opsledger.adopt_itself(p_executions, p_worker);
    end $$`)
  const waiting = async () =>
    (
      await pool.query(`select from pg_locks where locktype = 'advisory' and not granted and objid = 79
      and database = (select oid from pg_database where datname = current_database())`)
    ).rowCount
  // The lock session comes back and asks what is still its own; that statement waits.
  await terminateLockSessions(database)
  await eventually(async () => expect(await waiting()).toBe(1))
  // Meanwhile the term is retired, as a contender does it, and all of it moves to the next one.
  await pool.query(
    'update opsledger.worker_lease set retired_at = clock_timestamp(), expires_at = started_at where id = $1',
    [retired],
  )
  await eventually(async () => expect(await workerOf()).not.toBe(retired))
  await gate.query('select pg_advisory_unlock(79)')
  await eventually(async () => expect(await waiting()).toBe(0))
  await eventually(async () => {
    const { rows } = await pool.query(
      "select from pg_stat_activity where datname = current_database() and state = 'active' and query like '%adopt%' and pid <> pg_backend_pid()",
    )
    expect(rows).toEqual([])
  })
  expect(await workerOf()).not.toBe(retired)
  executing.end()
  expect(await delivery).toMatchObject({ settlement: 'settled' })
  expect(aborted).toEqual([])
})
