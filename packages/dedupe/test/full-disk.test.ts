import { eventually } from '@opsledger/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { useLedgerDatabase } from './support/ledger.ts'
import { claimOf, racingWorker } from './support/racing-worker.ts'

const database = useLedgerDatabase()

/** From now on no attempt can be written as ended; a sequence, which no rollback takes back, counts the tries. */
const fill = (sqlState: string) =>
  database.pool().query(`
    create sequence refusals;
    create function refuse() returns trigger language plpgsql as $$
    begin
      perform nextval('refusals');
      raise exception 'could not extend file: no space left on device' using errcode = '${sqlState}';
    end $$;
    create trigger refuse before update on opsledger.operation_run for each row
      when (old.status = 'running' and new.status <> 'running') execute function refuse()`)
const clear = () =>
  database.pool().query(`
    drop trigger if exists refuse on opsledger.operation_run;
    drop function if exists refuse;
    drop sequence if exists refusals`)
const tries = async (): Promise<number> =>
  (await database.pool().query('select last_value::integer as tries from refusals')).rows[0].tries
afterEach(clear)

// A full disk, and storage that fails.
describe.each(['53100', '58030'])('a server that cannot write an ending down (SQLSTATE %s)', (sqlState) => {
  it('is asked again until it can, within the settlement time-out', async () => {
    const worker = racingWorker(
      database,
      async ({ counts }) => {
        counts.itemSucceeded(3)
        await fill(sqlState)
      },
      { exclusion: 'lease' },
    )
    const delivery = worker.deliver({ work: `within ${sqlState}` }, 'd1')
    await eventually(async () => expect(await tries()).toBeGreaterThan(1))
    await clear()
    expect(await delivery).toMatchObject({ executed: true, settlement: 'settled' })
  })

  it('for longer than that is given the ending later: it is kept, and its claim with it', async () => {
    const leaseMs = 500
    const work = `beyond ${sqlState}`
    const worker = racingWorker(
      database,
      async ({ counts }) => {
        counts.itemSucceeded(3)
        await fill(sqlState)
      },
      { exclusion: 'lease', leaseMs, settlementTimeoutMs: 100 },
    )
    const { identity } = worker.identify({ work })
    expect(await worker.deliver({ work }, 'd1')).toMatchObject({ executed: true, settlement: 'unconfirmed' })
    expect(await claimOf(database, identity)).toMatchObject({ state: 'held', status: 'running' })
    // Refused once more when it was kept.
    const before = await tries()
    await eventually(async () => expect(await tries()).toBeGreaterThan(before))
    await clear()
    await eventually(async () =>
      expect(await claimOf(database, identity)).toMatchObject({ state: 'cooling', outcome: 'succeeded' }),
    )
  })
})
