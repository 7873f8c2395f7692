import { waitUntilBlocked } from '@opsledger/testing'
import { expect, it } from 'vitest'
import { useLedgerDatabase } from './support/ledger.ts'
import { createLatch, foreignSession, listen, racingWorker } from './support/racing-worker.ts'

const database = useLedgerDatabase()

/** Nothing of this process runs meanwhile: no timer, no socket. */
function blockEventLoop(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs)
}

it('a renewal whose reply came while the event loop was blocked counts, and nothing is aborted', async () => {
  const lost = listen('opsledger:term.lost')
  const aborted = listen('opsledger:run.aborted')
  const leaseMs = 3_000
  const row = await foreignSession(database)
  const worker = racingWorker(
    database,
    async ({ signal }) => {
      await row.query('begin; select from opsledger.worker_lease for update')
      await waitUntilBlocked(database.pool(), { applicationName: 'opsledger work' })
      // Written to the socket before the loop is blocked: the server answers the renewal while nobody listens.
      const released = row.query('rollback')
      // Past the time that a renewal is given, and past the lease.
      blockEventLoop(2_400)
      await released
      await database.pool().query('select')
      signal.throwIfAborted()
      return 'executed'
    },
    { leaseMs, exclusion: 'lease' },
  )
  expect(await worker.deliver({ work: 'renewed' }, 'd1')).toMatchObject({
    executed: true,
    value: 'executed',
    settlement: 'settled',
  })
  expect([lost, aborted]).toEqual([[], []])
})

it('an admission whose reply came while the event loop was blocked is admitted, on the same lock session', async () => {
  const lost = listen('opsledger:lock_session.lost')
  // An answer on the lock session is waited for as long as half of it, and a second at least.
  const leaseMs = 2_000
  const executing = createLatch()
  const worker = racingWorker(
    database,
    ({ payload }) => (payload.work === 'executing' ? executing.hold() : 'executed'),
    { leaseMs },
  )
  const first = worker.deliver({ work: 'executing' }, 'd1')
  await executing.entered
  const table = await foreignSession(database)
  await table.query('begin; lock table opsledger.job_claim in exclusive mode')
  const second = worker.deliver({ work: 'admitted' }, 'd2')
  await waitUntilBlocked(database.pool(), { applicationName: 'opsledger locks' })
  const released = table.query('rollback')
  blockEventLoop(1_200)
  await released
  expect(await second).toMatchObject({ executed: true, value: 'executed', run: { attempt: 1 } })
  executing.end()
  expect(await first).toMatchObject({ executed: true, settlement: 'settled' })
  expect(lost).toEqual([])
})
