import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { ClaimLostError, createLedger, LedgerClosedError } from '@opsledger/core'
import { runtimeOf } from '@opsledger/core/guard'
import { eventually, waitUntilBlocked } from '@opsledger/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { adoptRunsFunction } from '../src/sql/adopt-runs.ts'
import { createLatch, delivery, useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

const call = async (name: string, ...args: unknown[]) => {
  const places = args.map((_, index) => `$${index + 1}`).join(', ')
  const { rows } = await database.pool().query(`select opsledger.${name}(${places}) as answer`, args)
  return rows[0].answer as boolean
}
const leaseOf = async (id: string) =>
  (
    await database.pool().query<{ isLive: boolean; isRetired: boolean; host: string; pid: number }>(
      `select host, pid, expires_at > clock_timestamp() as "isLive", retired_at is not null as "isRetired"
       from opsledger.worker_lease where id = $1`,
      [id],
    )
  ).rows[0]
const expire = (id: string) =>
  database.pool().query('update opsledger.worker_lease set expires_at = started_at where id = $1', [id])

describe('a term in the database', () => {
  test('lives as long as it was registered for, and a registration sent again changes nothing', async () => {
    const id = randomUUID()
    expect(await call('register_term', id, 'h', 1, 60_000)).toBe(true)
    expect(await leaseOf(id)).toEqual({ host: 'h', pid: 1, isLive: true, isRetired: false })
    await expire(id)
    expect(await call('register_term', id, 'other', 2, 60_000)).toBe(true)
    expect(await leaseOf(id)).toEqual({ host: 'h', pid: 1, isLive: false, isRetired: false })
  })

  test('that has run out can still be renewed, as long as nobody has retired it', async () => {
    const id = randomUUID()
    await call('register_term', id, 'h', 1, 60_000)
    await expire(id)
    expect(await call('renew_term', id, 60_000)).toBe(true)
    expect(await leaseOf(id)).toMatchObject({ isLive: true })
  })

  test('cannot be retired by others while it lives, and never be renewed once it is retired', async () => {
    const id = randomUUID()
    await call('register_term', id, 'h', 1, 60_000)
    expect(await call('retire_expired_term', id)).toBe(false)
    await expire(id)
    expect(await call('retire_expired_term', id)).toBe(true)
    expect(await call('retire_expired_term', id)).toBe(true)
    expect(await call('renew_term', id, 60_000)).toBe(false)
    expect(await leaseOf(id)).toMatchObject({ isLive: false, isRetired: true })
  })

  test('that nobody knows is neither renewed nor retired: it counts as alive', async () => {
    expect(await call('renew_term', randomUUID(), 60_000)).toBe(false)
    expect(await call('retire_expired_term', randomUUID())).toBe(false)
  })

  test('is not waited for when a renewal is at it: the contender asks again', async () => {
    const id = randomUUID()
    await call('register_term', id, 'h', 1, 60_000)
    await expire(id)
    const renewal = await database.pool().connect()
    try {
      await renewal.query('begin')
      await renewal.query('select opsledger.renew_term($1, 60000)', [id])
      expect(await call('retire_expired_term', id)).toBe(false)
      await renewal.query('commit')
    } finally {
      renewal.release()
    }
    expect(await call('retire_expired_term', id)).toBe(false)
  })

  test('a renewal that comes while it is being retired loses: the two cannot both win', async () => {
    const id = randomUUID()
    await call('register_term', id, 'h', 1, 60_000)
    await expire(id)
    const contender = await database.pool().connect()
    try {
      await contender.query('begin')
      const { rows } = await contender.query('select opsledger.retire_expired_term($1) as answer', [id])
      expect(rows).toEqual([{ answer: true }])
      const renewal = call('renew_term', id, 60_000)
      await waitUntilBlocked(database.pool())
      await contender.query('commit')
      expect(await renewal).toBe(false)
    } finally {
      contender.release()
    }
  })
})

function workerOf(
  ledger: ReturnType<typeof ledgerOf>,
  workspaceId: string,
  handler: (signal: AbortSignal) => unknown,
) {
  return ledger.operation({
    type: 'a.b',
    scope: () => ({ workspaceId }),
    fingerprint: () => 'f',
    handler: ({ signal }) => handler(signal),
  })
}
/** Until the test ends, a run whose row somebody has counts as taken. */
async function takeBusyForTaken() {
  const sound = adoptRunsFunction('opsledger', 'opsledger').replace(
    'create function',
    'create or replace function',
  )
  const broken = sound.replace('elsif v_is_mine or exists (', 'elsif v_is_mine or false and exists (')
  expect(broken).not.toBe(sound)
  await database.pool().query(broken)
  onTestFinished(async () => {
    await database.pool().query(sound)
  })
}
const runIn = async (workspaceId: string) => (await ledgerOf().list({ workspaceId })).runs[0]!

describe('the term of a process', () => {
  test('is registered at the first work, names host and process, and serves all of them', async () => {
    const ledger = ledgerOf()
    await ledger.ready()
    const before = await database.pool().query('select count(*)::int as count from opsledger.worker_lease')
    await Promise.all(
      ['one', 'two'].map((name) => workerOf(ledger, `shared-${name}`, () => {})({}, delivery(name))),
    )
    const after = await database.pool().query('select count(*)::int as count from opsledger.worker_lease')
    expect(after.rows[0].count).toBe(before.rows[0].count + 1)
    const [one, two] = [await runIn('shared-one'), await runIn('shared-two')]
    expect(one.workerId).toBe(two.workerId)
    expect(await leaseOf(one.workerId!)).toEqual({
      host: hostname(),
      pid: process.pid,
      isLive: true,
      isRetired: false,
    })
  })

  test('is retired when its ledger closes, so that nobody waits for its lease', async () => {
    const ledger = ledgerOf()
    await workerOf(ledger, 'closing', () => {})({}, delivery('d1'))
    await ledger.close()
    expect(await leaseOf((await runIn('closing')).workerId!)).toMatchObject({ isRetired: true })
  })

  test('that was retired is followed by another, which what executes moves to and settles under', async () => {
    const latch = createLatch<string>()
    const ledger = ledgerOf({ leaseMs: 500 })
    const verdict = workerOf(ledger, 'moved', latch.hold)({}, delivery('d1'))
    await latch.entered
    const first = (await runIn('moved')).workerId!
    await database
      .pool()
      .query('update opsledger.worker_lease set retired_at = clock_timestamp() where id = $1', [first])
    await eventually(async () => expect((await runIn('moved')).workerId).not.toBe(first))
    const run = await runIn('moved')
    expect(run).toMatchObject({ status: 'running', attempt: 1 })
    expect(await leaseOf(run.workerId!)).toMatchObject({ isRetired: false })
    latch.leave('done')
    expect(await verdict).toMatchObject({ executed: true, value: 'done', settlement: 'settled' })
  })

  test.each([
    { name: 'goes on with a run whose row is somebody else’s just then', isSound: true },
    { name: 'would abort such a run if it counted as taken (mutant)', isSound: false },
  ])('that follows a retired one $name', async ({ isSound }) => {
    if (!isSound) await takeBusyForTaken()
    const workspaceId = `busy-${isSound}`
    const latch = createLatch()
    const ledger = ledgerOf({ leaseMs: 3_000 })
    let signal: AbortSignal | undefined
    const verdict = workerOf(ledger, workspaceId, (given) => {
      signal = given
      return latch.hold()
    })({}, delivery('d1'))
    await latch.entered
    const { id, workerId } = await runIn(workspaceId)
    const holder = await database.pool().connect()
    onTestFinished(() => holder.release(true))
    await holder.query('begin')
    await holder.query('select from opsledger.operation_run where id = $1 for no key update', [id])
    await call('retire_own_term', workerId)
    const { term } = runtimeOf(ledger)
    await term.verify(5_000)
    expect(await term.id()).not.toBe(workerId)
    expect(signal!.aborted).toBe(!isSound)
    expect((await runIn(workspaceId)).workerId).toBe(workerId)
    await holder.query('commit')
    if (isSound)
      await eventually(async () => expect((await runIn(workspaceId)).workerId).toBe(await term.id()))
    latch.leave()
    expect(await verdict).toMatchObject({ executed: true, settlement: 'settled', run: { attempt: 1 } })
  })

  test('does not take back what another worker executes by then: the signal says that the claim is lost', async () => {
    const aborted = Promise.withResolvers<unknown>()
    const latch = createLatch()
    const ledger = ledgerOf({ leaseMs: 500 })
    const verdict = workerOf(ledger, 'taken', (signal) => {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason))
      return latch.hold()
    })({}, delivery('d1'))
    await latch.entered
    const first = await runIn('taken')
    await workerOf(ledgerOf(), 'taken', () => 'newer')({}, delivery('d2'))
    await database
      .pool()
      .query('update opsledger.worker_lease set retired_at = clock_timestamp() where id = $1', [
        first.workerId,
      ])
    const reason = await aborted.promise
    expect(reason).toBeInstanceOf(ClaimLostError)
    expect(reason).toMatchObject({ runId: first.id, fence: first.fence })
    latch.leave()
    expect(await verdict).toMatchObject({ settlement: 'superseded' })
    expect(await runIn('taken')).toMatchObject({ outcome: 'succeeded', delivery: { id: 'd2' } })
  })

  test('ends its handlers when the ledger closes: aborted, handed back, not failed', async () => {
    const ledger = ledgerOf()
    const entered = Promise.withResolvers<void>()
    const verdict = workerOf(ledger, 'shutdown', (signal) => {
      entered.resolve()
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    })({}, delivery('d1'))
    await entered.promise
    const closed = ledger.close()
    await expect(verdict).rejects.toBeInstanceOf(LedgerClosedError)
    await closed
    expect(await runIn('shutdown')).toMatchObject({
      status: 'retrying',
      outcome: 'pending',
      pastAttempts: [{ reasonCode: 'worker.shutdown' }],
    })
  })
})

test.each([499, 600_001, 1.5, Number.NaN, '500' as unknown as number])(
  'a lease of %s ms is refused',
  (leaseMs) => {
    expect(() => createLedger({ connection: database.url, leaseMs })).toThrow(/^leaseMs is .*; allowed: /)
  },
)
