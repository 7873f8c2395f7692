import { DatabaseUnavailableError } from '@opsledger/core'
import { runtimeOf } from '@opsledger/core/guard'
import { eventually } from '@opsledger/testing'
import { describe, expect, it } from 'vitest'
import { mutate } from './acceptance/support/database.ts'
import { useLedgerDatabase } from './support/ledger.ts'
import {
  createLatch,
  foreignSession,
  listen,
  type RacingWorkerOptions,
  racingWorker,
} from './support/racing-worker.ts'
import { scriptedWorker } from './support/scripted-worker.ts'

const database = useLedgerDatabase()

/** The rows that a host's transaction locks before its commit. */
const ROWS = ['job_claim', 'operation_run'] as const
type Row = (typeof ROWS)[number]

/** Somebody has this row of the work, until it is let go. */
async function occupy(row: Row, identity: string) {
  const holder = await foreignSession(database)
  await holder.query('begin')
  await holder.query(`select from opsledger.${row} where identity = $1 for no key update`, [identity])
  return { holder, letGo: () => holder.query('commit') }
}

/** As a contender does it. */
const retire = (workerId: string) =>
  database
    .pool()
    .query(
      'update opsledger.worker_lease set retired_at = clock_timestamp(), expires_at = started_at where id = $1',
      [workerId],
    )

/** The terms that the claim and its run stand under. */
async function termsOf(identity: string): Promise<{ claim: string; run: string }> {
  const { rows } = await database.pool().query(
    `select c.worker_id as claim, r.worker_id as run from opsledger.job_claim c
     join opsledger.operation_run r on r.id = c.run_id where c.identity = $1`,
    [identity],
  )
  return rows[0]
}

describe('what executes, where somebody has its row while its term is followed by another', () => {
  async function moveBusy(row: Row, work: string) {
    const aborted = listen('opsledger:run.aborted')
    const executing = createLatch()
    const worker = racingWorker(database, executing.hold, { leaseMs: 3_000 })
    const delivery = worker.deliver({ work }, 'd1')
    await executing.entered
    const { identity } = worker.identify({ work })
    const { term } = runtimeOf(worker.ledger)
    const first = await term.id()
    const { letGo } = await occupy(row, identity)
    await retire(first)
    await term.verify(5_000)
    return { aborted: [...aborted], executing, delivery, identity, term, first, letGo }
  }

  it.each(ROWS)('goes on, and moves with a later renewal (%s)', async (row) => {
    const { aborted, executing, delivery, identity, term, first, letGo } = await moveBusy(row, row)
    expect(aborted).toEqual([])
    expect(await termsOf(identity)).toEqual({ claim: first, run: first })
    await letGo()
    const next = await term.id()
    expect(next).not.toBe(first)
    await eventually(async () => expect(await termsOf(identity)).toEqual({ claim: next, run: next }))
    executing.end()
    expect(await delivery).toMatchObject({ executed: true, settlement: 'settled', run: { attempt: 1 } })
  })

  it.each([
    ['job_claim', 'if exists (', 'if false and exists ('],
    ['operation_run', 'not v_runs and exists (', 'false and exists ('],
  ] as const)('would be aborted if it counted as taken (mutant, %s)', async (row, from, to) => {
    await mutate(database.pool(), 'adopt', [[from, to]])
    const { aborted, executing, delivery, letGo } = await moveBusy(row, `mutant: ${row}`)
    expect(aborted).toMatchObject([{ code: 'claim_lost' }])
    await letGo()
    executing.end()
    await delivery
  })
})

describe('what was admitted under a term that is retired by the time the answer comes, and somebody has its row', () => {
  /** Resolves when it has been asked about twice, has begun, or was given up. */
  async function comeLate(row: Row, work: string, options: RacingWorkerOptions = {}) {
    const beganUnder: string[] = []
    const decided = Promise.withResolvers<unknown>()
    const worker = racingWorker(
      database,
      async () => {
        beganUnder.push((await termsOf(identity)).run)
        decided.resolve(null)
      },
      { exclusion: 'lease', leaseMs: 3_000, ...options },
    )
    const { identity } = worker.identify({ work })
    const { term } = runtimeOf(worker.ledger)
    const occupied = Promise.withResolvers<Awaited<ReturnType<typeof occupy>>>()
    let isLate = false
    let adoptions = 0
    worker.onAnswer(async (name) => {
      if (name === 'adopt' && ++adoptions === 2) decided.resolve(null)
      if (name !== 'admit_one' || isLate) return
      isLate = true
      occupied.resolve(await occupy(row, identity))
      await retire(await term.id())
      await term.verify(5_000)
    })
    const delivery = worker.deliver({ work }, 'd1')
    delivery.then(decided.resolve, decided.resolve)
    const { holder, letGo } = await occupied.promise
    await decided.promise
    return { worker, delivery, identity, term, beganUnder, holder, letGo }
  }

  it.each(ROWS)('does not begin before it stands under the live one (%s)', async (row) => {
    const { delivery, term, beganUnder, letGo } = await comeLate(row, `late: ${row}`)
    expect(beganUnder).toEqual([])
    await letGo()
    expect(await delivery).toMatchObject({ executed: true, settlement: 'settled', run: { attempt: 1 } })
    expect(beganUnder).toEqual([await term.id()])
  })

  it('does not begin at all when that somebody takes it', async () => {
    const other = await scriptedWorker(database.pool())
    const { delivery, identity, beganUnder, holder, letGo } = await comeLate('job_claim', 'taken')
    await holder.query(
      `with c as (
         update opsledger.job_claim set fence = nextval('opsledger.fence'), worker_id = $2, delivery_id = 'theirs'
         where identity = $1 returning run_id, fence, worker_id)
       update opsledger.operation_run r set fence = c.fence, worker_id = c.worker_id from c where r.id = c.run_id`,
      [identity, other.termId],
    )
    await letGo()
    expect(await delivery).toMatchObject({
      executed: false,
      reason: 'overlap',
      holder: { workerId: other.termId },
    })
    expect(beganUnder).toEqual([])
  })

  it('is given up when the row is not let go in time, and the work executes when it comes again', async () => {
    const work = 'given up'
    const { worker, delivery, beganUnder, letGo } = await comeLate('operation_run', work, {
      admissionTimeoutMs: 300,
    })
    expect(beganUnder).toEqual([])
    await expect(delivery).rejects.toBeInstanceOf(DatabaseUnavailableError)
    expect(beganUnder).toEqual([])
    await letGo()
    expect(await worker.deliver({ work }, 'd1')).toMatchObject({ executed: true })
  })

  it('would begin under the retired one if busy were as good as kept (mutant)', async () => {
    await mutate(database.pool(), 'adopt', [['v_busy := v_busy ||', 'v_kept := v_kept ||']])
    const { delivery, term, beganUnder, letGo } = await comeLate('operation_run', 'mutant: late')
    expect(beganUnder).toHaveLength(1)
    expect(beganUnder).not.toEqual([await term.id()])
    await letGo()
    await delivery
  })
})
