import { waitUntilBlocked } from '@opsledger/testing'
import { describe, expect, it } from 'vitest'
import { mutate } from './acceptance/support/database.ts'
import { useLedgerDatabase } from './support/ledger.ts'
import { foreignSession, racingWorker } from './support/racing-worker.ts'
import { type ScriptedClaim, scriptedWorker } from './support/scripted-worker.ts'
import { admitUnrecorded } from './support/settlement-states.ts'

const database = useLedgerDatabase()

/** Handlers that end in one turn of the event loop, once so many have begun: their settlements share a statement. */
function gather(count: number) {
  const [entered, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let here = 0
  return {
    entered: entered.promise,
    end: end.resolve,
    async hold() {
      here += 1
      if (here === count) entered.resolve()
      await end.promise
    },
  }
}

/** The settling statements of a worker, by name. */
function settlingOf(worker: ReturnType<typeof racingWorker>): string[] {
  const names: string[] = []
  worker.onAnswer((name) => {
    if (name.startsWith('settle')) names.push(name)
  })
  return names
}

async function rowsOf(works: readonly string[]) {
  const { identify } = racingWorker(database)
  const identities = works.map((work) => identify({ work }).identity)
  const { rows } = await database.pool().query(
    `select c.state, 1000 * extract(epoch from c.cooldown_until - c.settled_at)::integer as "cooldownMs",
       r.status, r.attempt, r.total, r.processed, r.failed
     from opsledger.job_claim c left join opsledger.operation_run r on r.id = c.run_id
     where c.identity = any ($1) order by array_position($1, c.identity)`,
    [identities],
  )
  return rows
}

describe('counts of attempts that end together', () => {
  /** Both works count 7 of 9 items and fail, then 3 and succeed. */
  async function retryBoth(works: readonly string[]) {
    for (const attempt of [1, 2]) {
      const { entered, end, hold } = gather(works.length)
      const worker = racingWorker(database, async ({ counts }) => {
        if (attempt === 1) counts.setTotal(9)
        counts.itemSucceeded(attempt === 1 ? 5 : 3)
        if (attempt === 1) counts.itemFailed('provider.unavailable', 2)
        await hold()
        if (attempt === 1) throw new Error('not today')
      })
      const settling = settlingOf(worker)
      const ends = Promise.all(works.map((work) => worker.conclude({ work }, work, attempt)))
      await entered
      end()
      await ends
      expect(settling).toEqual(['settle'])
    }
    return rowsOf(works)
  }

  it('are replaced by those of the final attempt, run by run', async () => {
    const ended = { status: 'completed', attempt: 2, total: 3, processed: 3, failed: 0 }
    expect(await retryBoth(['one', 'other'])).toMatchObject([ended, ended])
  })

  it('would be added to those of the attempt before (mutant)', async () => {
    await mutate(database.pool(), 'settle_runs', [
      ['total = i.total', 'total = coalesce(r.total, 0) + i.total'],
      ['processed = i.processed', 'processed = coalesce(r.processed, 0) + i.processed'],
    ])
    const added = { total: 12, processed: 10 }
    expect(await retryBoth(['one added', 'other added'])).toMatchObject([added, added])
  })
})

describe('an attempt that ends late, together with one that does not', () => {
  /** Of two works that one worker executes, the first is taken over by another, which is still at it. */
  async function endLate(works: readonly [late: string, current: string]) {
    const [late, current] = works
    const [ours, theirs] = [gather(2), gather(1)]
    const worker = racingWorker(
      database,
      async ({ counts }) => {
        counts.itemSucceeded(100)
        await ours.hold()
      },
      { exclusion: 'lease' },
    )
    const ends = Promise.all(works.map((work) => worker.deliver({ work }, work)))
    await ours.entered
    await database.pool().query(
      `update opsledger.worker_lease set expires_at = started_at
       where id in (select worker_id from opsledger.operation_run where delivery_id = $1)`,
      [late],
    )
    const other = racingWorker(database, theirs.hold, { exclusion: 'lease' })
    const next = other.deliver({ work: late }, late, 2)
    await theirs.entered
    const settling = settlingOf(worker)
    ours.end()
    const verdicts = await ends
    expect(settling).toEqual(['settle'])
    const rows = await rowsOf([late, current])
    theirs.end()
    return { verdicts, rows, next: await next }
  }

  it('changes nothing and is told so; the other one is settled', async () => {
    const { verdicts, rows, next } = await endLate(['late', 'in time'])
    expect(verdicts).toMatchObject([{ settlement: 'superseded' }, { settlement: 'settled' }])
    expect(rows).toMatchObject([
      { state: 'held', status: 'running', attempt: 2, processed: null },
      { state: 'cooling', status: 'completed', attempt: 1, processed: 100 },
    ])
    expect(next).toMatchObject({ settlement: 'settled', run: { counts: { processed: 0 } } })
  })

  it('would end the attempt that took over, if nothing looked at the fence (mutant)', async () => {
    await mutate(database.pool(), 'settle', [[' and c.fence = i.fence', '']])
    await mutate(database.pool(), 'settle_runs', [['and r.fence = i.fence', '']])
    const { verdicts, rows } = await endLate(['late, fenceless', 'in time, fenceless'])
    expect(verdicts).toMatchObject([{ settlement: 'settled' }, { settlement: 'settled' }])
    expect(rows).toMatchObject([
      { state: 'cooling', status: 'completed', attempt: 2, processed: 100 },
      { state: 'cooling' },
    ])
  })
})

describe('the cooldowns of attempts that end together', () => {
  const TWENTY_MINUTES_MS = 1_200_000

  /** The first two succeed, the last is to be retried. */
  async function coolDown(works: readonly string[]) {
    const { entered, end, hold } = gather(works.length)
    const worker = racingWorker(
      database,
      async ({ payload }) => {
        await hold()
        if (payload.work === works.at(-1)) throw new Error('not today')
      },
      { cooldownMs: TWENTY_MINUTES_MS },
    )
    const settling = settlingOf(worker)
    const ends = Promise.all(works.map((work) => worker.conclude({ work }, work)))
    await entered
    end()
    await ends
    expect(settling).toEqual(['settle'])
    return (await rowsOf(works)).map(({ state, cooldownMs }) => ({ state, cooldownMs }))
  }

  const COOLING = { state: 'cooling', cooldownMs: TWENTY_MINUTES_MS }

  it('are of their length, and there is none before a retry', async () => {
    expect(await coolDown(['c1', 'c2', 'c3'])).toEqual([
      COOLING,
      COOLING,
      { state: 'free', cooldownMs: null },
    ])
  })

  it('would be of another (mutant)', async () => {
    await mutate(database.pool(), 'settle', [[`interval '1 millisecond'`, `interval '1100 microseconds'`]])
    const longer = { ...COOLING, cooldownMs: 1.1 * TWENTY_MINUTES_MS }
    expect(await coolDown(['l1', 'l2', 'l3'])).toMatchObject([longer, longer, { state: 'free' }])
  })

  it('would come before a retry as well (mutant)', async () => {
    await mutate(database.pool(), 'settle', [[' and i.cooldown_ms > 0', '']])
    expect(await coolDown(['r1', 'r2', 'r3'])).toMatchObject([COOLING, COOLING, { state: 'cooling' }])
  })
})

describe('claims without a run, settled together', () => {
  const MINUTE_MS = 60_000

  /** Of three, the last was taken over. */
  async function settleUnrecorded(works: readonly [string, string, late: string]) {
    const pool = database.pool()
    const { identify } = racingWorker(database)
    const [worker, late, next] = [
      await scriptedWorker(pool),
      await scriptedWorker(pool),
      await scriptedWorker(pool),
    ]
    const claims = [
      await admitUnrecorded(pool, identify({ work: works[0] }), worker.termId),
      await admitUnrecorded(pool, identify({ work: works[1] }), worker.termId),
      await admitUnrecorded(pool, identify({ work: works[2] }), late.termId),
    ]
    await late.expire()
    await admitUnrecorded(pool, identify({ work: works[2] }), next.termId)
    const settleThem = () => settleAll(claims.map((claim, n) => unrecorded(claim, n)))
    return { answers: await settleThem(), rows: await rowsOf(works), settleAgain: settleThem }
  }

  const unrecorded = ({ identity, fence }: ScriptedClaim, n: number) => ({
    n,
    run_id: null,
    identity,
    fence,
    cooldown_ms: n === 0 ? MINUTE_MS : 0,
  })

  async function settleAll(settlements: readonly object[]) {
    const { rows } = await database
      .pool()
      .query('select opsledger.settle($1) as answers', [JSON.stringify(settlements)])
    return (rows[0].answers as { n: number; answer: string }[])
      .toSorted((a, b) => a.n - b.n)
      .map(({ answer }) => answer)
  }

  it('cool down or are free, each as it says; of one that was taken over nothing changes', async () => {
    const { answers, rows } = await settleUnrecorded(['u1', 'u2', 'u3'])
    expect(answers).toEqual(['settled', 'settled', 'superseded'])
    expect(rows).toMatchObject([
      { state: 'cooling', cooldownMs: MINUTE_MS },
      { state: 'free', cooldownMs: null },
      { state: 'held' },
    ])
  })

  it('would not cool down, and be told that they are superseded, if a run were looked for (mutant)', async () => {
    await mutate(database.pool(), 'settle', [['if (v_held[1]).run_id is null then', 'if false then']])
    const { answers, rows } = await settleUnrecorded(['v1', 'v2', 'v3'])
    expect(answers).toEqual(['superseded', 'superseded', 'superseded'])
    expect(rows).toMatchObject([{ state: 'free' }, { state: 'free' }, { state: 'held' }])
  })

  it('are told so when they were settled before, and nothing changes', async () => {
    const works = ['w1', 'w2', 'w3'] as const
    const { rows, settleAgain } = await settleUnrecorded(works)
    expect(await settleAgain()).toEqual(['already_settled', 'already_settled', 'superseded'])
    expect(await rowsOf(works)).toEqual(rows)
  })

  it('would be told that they are superseded if only a run could say it (mutant)', async () => {
    await mutate(database.pool(), 'settle', [['case when r.id is null then', 'case when false then']])
    const { settleAgain } = await settleUnrecorded(['x1', 'x2', 'x3'])
    expect(await settleAgain()).toEqual(['superseded', 'superseded', 'superseded'])
  })
})

describe('a batch of settlements', () => {
  /** @returns whether the claim that comes first is locked while the batch waits for the one that comes last */
  async function locksTheFirst(works: readonly string[]): Promise<boolean> {
    const pool = database.pool()
    const { identify } = racingWorker(database)
    const worker = await scriptedWorker(pool)
    const claims: ScriptedClaim[] = []
    for (const work of works) claims.push(await worker.admit(identify({ work }), work))
    const [first, last] = claims.toSorted((a, b) => (a.identity < b.identity ? -1 : 1))
    const [keeper, settler] = [await foreignSession(database), await foreignSession(database)]
    await keeper.query('begin')
    await keeper.query('select from opsledger.job_claim where identity = $1 for update', [last!.identity])
    const { rows } = await settler.query('select pg_backend_pid() as pid')
    const settlement = { status: 'completed', outcome: 'succeeded', total: 0, processed: 0, failed: 0 }
    const batch = [last!, first!].map(({ identity, runId, fence }, n) => ({
      ...settlement,
      n,
      run_id: runId,
      identity,
      fence,
      cooldown_ms: 0,
    }))
    const settling = settler.query('select opsledger.settle($1)', [JSON.stringify(batch)])
    await waitUntilBlocked(pool, { pid: rows[0].pid })
    const { rows: unlocked } = await pool.query(
      'select from opsledger.job_claim where identity = $1 for update skip locked',
      [first!.identity],
    )
    await keeper.query('rollback')
    await settling
    return unlocked.length === 0
  }

  it('locks its claims in the order of their identities, so that two cannot wait for each other', async () => {
    expect(await locksTheFirst(['order 1', 'order 2'])).toBe(true)
  })

  it('would lock them in the order it was given (mutant)', async () => {
    await mutate(database.pool(), 'settle', [['array_agg(x order by x.identity)', 'array_agg(x)']])
    expect(await locksTheFirst(['order 3', 'order 4'])).toBe(false)
  })
})
