import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { JobIdentity } from '@opsledger/core'
import { createGuard, type ExclusionMode } from '@opsledger/dedupe'
import type pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { admitOneFunction, admitUnopposedFunction, tryLock } from '../src/sql/admit-unopposed.ts'
import { type Ask, loneWay, longWay, shortWay, type Told, type Way } from '../src/ways-to-admit.ts'
import { replacing } from './concurrency/broken-sql.ts'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'
import { type ScriptedWorker, scriptedWorker } from './support/scripted-worker.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

interface Work {
  readonly work: string
  readonly runId?: string
}
let identify: (work: Work) => JobIdentity
let open: (work: Work) => Promise<unknown>
let sweep: () => Promise<unknown>
let asking: ScriptedWorker

type LeaveSo = (work: string, worker: ScriptedWorker) => Promise<unknown>

/** How a work stood when it was asked for; each leaves it so under its own name. */
const STATES: Readonly<Record<string, LeaveSo>> = {
  // First: a sweep is of the whole ledger.
  'closed for its lost worker': async (work, worker) => {
    await worker.admit(identify({ work }), 'first')
    await worker.expire()
    await sweep()
  },
  'closed for its lost worker, under a run id': async (work, worker) => {
    await worker.admit(identify({ work, runId: randomUUID() }), 'first')
    await worker.expire()
    await sweep()
  },
  'never seen': async () => {},
  'held by a worker that lives': (work, worker) => worker.admit(identify({ work }), 'first'),
  'held by a worker whose lease ran out': async (work, worker) => {
    await worker.admit(identify({ work }), 'first')
    await worker.expire()
  },
  'held under a retired term': async (work, worker) => {
    await worker.admit(identify({ work }), 'first')
    await worker.retire()
  },
  'held without a run': async (work, worker) => {
    const { request, ...ask } = askFor(work, 'first')
    const { args } = longWay([{ ...ask, request: { ...request, recordsRun: false } }])
    await database.pool().query('select opsledger.admit($1, $2, false)', [...args, worker.termId])
  },
  'waiting for its retry': async (work, worker) =>
    worker.settle(await worker.admit(identify({ work }), 'first'), 'retrying'),
  'cooling down': async (work, worker) =>
    worker.settle(await worker.admit(identify({ work }), 'first'), 'succeeded'),
  'past its cooldown': async (work, worker) => {
    await worker.settle(await worker.admit(identify({ work }), 'first'), 'succeeded')
    await endCooldown(work)
  },
  'ended without a cooldown': async (work, worker) =>
    worker.settle(await worker.admit(identify({ work }), 'first'), 'succeeded', 0),
  'ended at the second attempt, of another delivery, past its cooldown': async (work, worker) => {
    await worker.settle(await worker.admit(identify({ work }), 'first'), 'retrying')
    await worker.settle(await worker.admit(identify({ work }), 'second'), 'succeeded')
    await endCooldown(work)
  },
  'opened at dispatch': (work) => open({ work }),
  'opened at dispatch under a run id': (work) => open({ work, runId: randomUUID() }),
  'held under a run id': (work, worker) => worker.admit(identify({ work, runId: randomUUID() }), 'first'),
  'cooling down under a run id': async (work, worker) =>
    worker.settle(await worker.admit(identify({ work, runId: randomUUID() }), 'first'), 'succeeded'),
}

/** What the rows say of each: the claim, with the lease of who holds it or the cooldown; and the run. */
const STANDS: Readonly<Record<string, string>> = {
  'closed for its lost worker': 'free; completed failed, attempt 1',
  'closed for its lost worker, under a run id': 'free; completed failed, attempt 1',
  'never seen': 'no claim; no run',
  'held by a worker that lives': 'held, live; running pending, attempt 1',
  'held by a worker whose lease ran out': 'held, expired; running pending, attempt 1',
  'held under a retired term': 'held, retired; running pending, attempt 1',
  'held without a run': 'held, live; no run',
  'waiting for its retry': 'free; retrying pending, attempt 1',
  'cooling down': 'cooling, not over; completed succeeded, attempt 1',
  'past its cooldown': 'cooling, over; completed succeeded, attempt 1',
  'ended without a cooldown': 'free; completed succeeded, attempt 1',
  'ended at the second attempt, of another delivery, past its cooldown':
    'cooling, over; completed succeeded, attempt 2',
  'opened at dispatch': 'no claim; queued pending, attempt 0',
  'opened at dispatch under a run id': 'no claim; queued pending, attempt 0',
  'held under a run id': 'held, live; running pending, attempt 1',
  'cooling down under a run id': 'cooling, not over; completed succeeded, attempt 1',
}

async function standOf(work: string): Promise<string> {
  const { rows } = await database.pool().query(
    `select coalesce((
        select case c.state
          when 'free' then 'free'
          when 'held' then 'held, ' || case when l.retired_at is not null then 'retired'
            when l.expires_at <= clock_timestamp() then 'expired' else 'live' end
          else 'cooling, ' || case when c.cooldown_until <= clock_timestamp() then 'over' else 'not over' end end
        from opsledger.job_claim c left join opsledger.worker_lease l on l.id = c.worker_id
        where c.work_key = $1), 'no claim') || '; ' || coalesce((
        select concat(r.status, ' ', r.outcome, ', attempt ', r.attempt)
        from opsledger.operation_run r where r.work_key = $1), 'no run') as stand`,
    [identify({ work }).workKey],
  )
  return rows[0].stand
}

const endCooldown = (work: string) =>
  database
    .pool()
    .query(
      `update opsledger.job_claim set settled_at = claimed_at, cooldown_until = clock_timestamp() where work_key = $1`,
      [identify({ work }).workKey],
    )

beforeAll(async () => {
  const ledger = newLedger()
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: (_: Work) => ({ workspaceId: 'w', tenantId: 't' }),
    runId: ({ runId }) => runId,
    fingerprint: ({ work }) => work,
    guard: createGuard(ledger, { exclusion: 'lease' }),
    handler: () => 'done',
  })
  identify = operation.identify
  open = operation.open
  sweep = () => ledger.sweep()
  asking = await scriptedWorker(database.pool())
  for (const [state, leaveSo] of Object.entries(STATES))
    await leaveSo(state, await scriptedWorker(database.pool()))
})

it.each(Object.keys(STATES))('the work is as its name says: %s', async (state) => {
  expect(await standOf(state)).toBe(STANDS[state])
})

const DELIVERIES = ['first', 'second', 'unknown'] as const

/** No two numbers of a batch are the same: what is put in another's place shows. */
const askFor = (work: string, deliveryId: string, place = 0): Ask => ({
  request: {
    job: identify({ work }),
    newRunId: randomUUID(),
    delivery: { id: deliveryId, attempt: 1 + 2 * place, maxAttempts: 1_000 + place },
    context: { quoted: '"\\{},NULL', place },
    recordsRun: true,
  },
  liveFences: [],
  orphanFence: null,
})

interface Asking {
  readonly exclusion: ExclusionMode
  readonly termId?: string
  /** Keys of locks to let go of, as the text of an array. */
  readonly unlocks?: string
}

async function ask(
  client: pg.ClientBase,
  way: Way,
  asks: readonly Ask[],
  { exclusion, termId = asking.termId, unlocks = '{}' }: Asking,
) {
  const { name, args, letsGo, answersFrom } = way(asks)
  const parameters = [...args, termId, exclusion === 'session', ...(letsGo ? [unlocks] : [])]
  const marks = parameters.map((_, index) => `$${index + 1}`)
  const { rows } = await client.query(`select opsledger.${name}(${marks})::text as answer`, parameters)
  return answersFrom(JSON.parse(rows[0].answer))
}

/**
 * What a way answers and writes, undone at once; without what differs from question to question. And the locks that are
 * kept when its transaction is over.
 */
async function told(way: Way, asks: readonly Ask[], exclusion: ExclusionMode) {
  const client = await database.pool().connect()
  try {
    await client.query('begin')
    const answers = (await ask(client, way, asks, { exclusion })) as Told[]
    const works = asks.map(({ request }) => request.job.workKey)
    const written = await rowsOf(client, works)
    expect(fencesOf(answers)).toEqual(await heldFences(client))
    await client.query('rollback')
    return {
      answers: answers.toSorted((a, b) => a.n - b.n).map(comparable),
      written,
      locksKept: await locksKept(client),
    }
  } finally {
    await client.query('rollback')
    await client.query('select pg_advisory_unlock_all()')
    client.release()
  }
}

const fencesOf = (answers: readonly Told[]) =>
  answers
    .flatMap((answer) => (answer.verdict === 'admitted' ? [`${answer.runId} ${answer.fence}`] : []))
    .toSorted()

/** Those of the asking term, where the claim and its run say the same. */
async function heldFences(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query(
    `select r.id || ' ' || c.fence as held from opsledger.job_claim c
     join opsledger.operation_run r on r.id = c.run_id and r.fence = c.fence
     where c.worker_id = $1 and c.state = 'held'`,
    [asking.termId],
  )
  return rows.map(({ held }) => held).toSorted()
}

/** The keys of the session's locks, each as often as it was taken. No transaction may be open; they are let go. */
async function locksKept(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query(
    `select (classid::bigint << 32 | objid::bigint)::text as key from pg_locks
     where locktype = 'advisory' and pid = pg_backend_pid() order by 1`,
  )
  const kept: string[] = []
  for (const { key } of rows) {
    const letGo = async () => (await client.query('select pg_advisory_unlock($1) as had', [key])).rows[0].had
    while (await letGo()) kept.push(key)
  }
  return kept
}

/** The claims and runs of these works, but for fences and times, which no two questions share; and who holds what locks. */
async function rowsOf(client: pg.ClientBase, works: readonly string[]): Promise<unknown> {
  const { rows: claims } = await client.query(
    `select to_jsonb(c) - 'fence' - 'claimed_at' as claim from opsledger.job_claim c
     where work_key = any ($1) order by work_key, identity`,
    [works],
  )
  const { rows: runs } = await client.query(
    `select to_jsonb(r) - 'fence' - 'created_at' - 'started_at' - 'attempt_history' as run,
       jsonb_array_length(r.attempt_history) as attempts from opsledger.operation_run r
     where work_key = any ($1) order by work_key, id`,
    [works],
  )
  const { rows: locks } = await client.query(
    `select classid, objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() order by 1, 2`,
  )
  return { claims, runs, locks }
}

function comparable(answer: Told) {
  if (answer.verdict === 'not_this_scope' || answer.verdict === 'own_orphan') return answer
  if (answer.verdict !== 'admitted') return { ...answer, retryAfterMs: answer.retryAfterMs > 0 }
  const { fence, createdAt, startedAt, attemptHistory, ...rest } = answer
  expect(new Date(startedAt).getTime()).toBeGreaterThan(0)
  return { ...rest, isNew: createdAt === startedAt, history: attemptHistory?.length ?? 0 }
}

const BATCH = [...Object.keys(STATES), 'locked'].flatMap((state) => [state, `new beside ${state}`])
const batchFor = (deliveryId: string) => BATCH.map((work, place) => askFor(work, deliveryId, place))

/** While somebody has the lock of work that nothing else stands in the way of. */
async function whileLocked<T>(work: string, act: () => Promise<T>): Promise<T> {
  const holder = await database.pool().connect()
  try {
    await holder.query('begin')
    await holder.query('select pg_advisory_xact_lock(opsledger.lock_key($1))', [identify({ work }).identity])
    return await act()
  } finally {
    await holder.query('rollback')
    holder.release()
  }
}

describe.each(['session', 'lease'] as const)(
  'by %s, the short ways to a claim answer, write and lock as the long one',
  (exclusion) => {
    it.each(Object.keys(STATES))('for work that is %s', async (state) => {
      for (const deliveryId of DELIVERIES) {
        const asks = [askFor(state, deliveryId)]
        const long = await told(longWay, asks, exclusion)
        expect(await told(shortWay, asks, exclusion)).toEqual(long)
        expect(await told(loneWay, asks, exclusion)).toEqual(long)
      }
    })

    it('for work that somebody has the lock of', () =>
      whileLocked('locked', async () => {
        const asks = [askFor('locked', 'unknown')]
        expect(await told(loneWay, asks, exclusion)).toEqual(await told(longWay, asks, exclusion))
      }))

    it.each(DELIVERIES)('for all of these and new work in one batch (%s)', (deliveryId) =>
      whileLocked('locked', async () => {
        const asks = batchFor(deliveryId)
        const short = await told(shortWay, asks, exclusion)
        expect(short).toEqual(await told(longWay, asks, exclusion))
        expect(short.answers).toHaveLength(asks.length)
        const admitted = short.answers.filter(({ verdict }) => verdict === 'admitted')
        expect(short.locksKept).toHaveLength(exclusion === 'session' ? admitted.length : 0)
      }),
    )
  },
)

/** What both short ways look at, taken away; `work` is what they call it by. */
const looksFor = (work: string): [what: string, from: string, to: string][] => [
  ['who holds the claim', "c.state = 'held'\n", 'false\n'],
  ['the cooldown', 'c.cooldown_until > clock_timestamp()', 'false'],
  ['earlier attempts of the last run', 'r.attempt_history is not null', 'false'],
  ['whether the last run was lost', "r.outcome = 'failed' and", 'false and'],
  ['claims of the work under other identities', `o.work_key = ${work} and`, 'false and'],
  ['the open run', `r.work_key = ${work} and r.completed_at is null`, 'false'],
  ['what became of the delivery', 'r.completed_at is not null and', 'false and'],
]

describe('of one delivery, that would show if it did not look at', () => {
  const sound = admitOneFunction('opsledger', 'opsledger')
  afterEach(() => database.pool().query(replacing(sound)))

  it.each<[what: string, from: string, to: string, exclusion?: ExclusionMode]>([
    [
      'whether the lock was had',
      `if (${tryLock('v_lock_key')})`,
      `if (${tryLock('v_lock_key')} is not null)`,
    ],
    ...looksFor('p_work'),
    ['how often it was tried', 'p_delivery, p_attempt, p_maximum', 'p_delivery, p_maximum, p_attempt'],
    [
      'how often it was tried, of what it hands on',
      "'delivery_attempt', p_attempt, 'delivery_maximum', p_maximum",
      "'delivery_attempt', p_maximum, 'delivery_maximum', p_attempt",
    ],
    ['whose it is', 'p_workspace, p_tenant, p_type, p_work', 'p_workspace, null, p_type, p_work'],
    ['whose the lock is', 'case when p_session then', 'case when false then', 'session'],
    [
      'the lock of what it hands on',
      'if p_session then perform pg_advisory_unlock',
      'if false then perform pg_advisory_unlock',
      'session',
    ],
  ])('%s', async (_, from, to, exclusion = 'lease') => {
    await database.pool().query(replacing(sound, [from, to]))
    expect(await firstDifference(exclusion)).not.toBeNull()
  })

  it.each(['session', 'lease'] as const)(
    'anything: and shows nothing while it does (by %s)',
    async (exclusion) => {
      expect(await firstDifference(exclusion)).toBeNull()
    },
  )

  const firstDifference = (exclusion: ExclusionMode): Promise<string | null> =>
    whileLocked('locked', async () => {
      for (const deliveryId of DELIVERIES) {
        for (const work of ['locked', ...Object.keys(STATES)]) {
          if (await isDifferent(loneWay, [askFor(work, deliveryId)], exclusion))
            return `${work}, ${deliveryId}`
        }
      }
      return null
    })
})

describe('of many, that would show if it did not look at', () => {
  const sound = admitUnopposedFunction('opsledger', 'opsledger')
  afterEach(() => database.pool().query(replacing(sound)))

  it.each<[what: string, from: string, to: string]>([
    ['whether the lock was had', 'where got and', 'where true and'],
    ...looksFor('q.work'),
    [
      'how often it was tried',
      '(work, run, workspace_id, tenant_id, type, delivery_id, attempt, maximum, context, fence, at)',
      '(work, run, workspace_id, tenant_id, type, delivery_id, maximum, attempt, context, fence, at)',
    ],
    [
      'how often it was tried, of what it hands on',
      "'delivery_attempt', attempt, 'delivery_maximum', maximum",
      "'delivery_attempt', maximum, 'delivery_maximum', attempt",
    ],
    [
      'how often it was tried, of what is left',
      'array_agg(attempt order by n), array_agg(maximum order by n)',
      'array_agg(maximum order by n), array_agg(attempt order by n)',
    ],
    ['whose number is whose', 'array_agg(attempt order by n)', 'array_agg(attempt order by n desc)'],
    ['whose fence is whose', 'array_agg(fence)', 'array_agg(fence order by fence desc)'],
    [
      'whose it is',
      'select run, workspace_id, tenant_id, type, work, work,',
      'select run, workspace_id, null, type, work, work,',
    ],
  ])('%s', async (_, from, to) => {
    await database.pool().query(replacing(sound, [from, to]))
    expect(await firstDifference('lease')).not.toBeNull()
  })

  it.each<[what: string, from: string, to: string]>([
    [
      'whose the locks are, the session or the transaction',
      'case when p_session then',
      'case when false then',
    ],
    ['the locks of what it hands on', 'where got and n <> all', 'where false and n <> all'],
    [
      'which locks are of what it hands on',
      "where got and n <> all (coalesce(v_places, '{}'));",
      'where got;',
    ],
  ])('%s (by session)', async (_, from, to) => {
    await database.pool().query(replacing(sound, [from, to]))
    expect(await firstDifference('session')).not.toBeNull()
  })

  it.each(['session', 'lease'] as const)(
    'anything: and shows nothing while it does (by %s)',
    async (exclusion) => {
      expect(await firstDifference(exclusion)).toBeNull()
    },
  )

  const firstDifference = (exclusion: ExclusionMode): Promise<string | null> =>
    whileLocked('locked', async () => {
      for (const deliveryId of DELIVERIES) {
        if (await isDifferent(shortWay, batchFor(deliveryId), exclusion))
          return `all in one batch, ${deliveryId}`
        for (const work of ['locked', ...Object.keys(STATES)]) {
          if (await isDifferent(shortWay, [askFor(work, deliveryId)], exclusion))
            return `${work}, ${deliveryId}`
        }
      }
      return null
    })
})

async function isDifferent(way: Way, asks: readonly Ask[], exclusion: ExclusionMode): Promise<boolean> {
  const long = await told(longWay, asks, exclusion)
  const short = await told(way, asks, exclusion).catch(
    () => 'refused, or its fences are not those of the rows',
  )
  return !isDeepStrictEqual(short, long)
}

describe.each([
  { of: 'many', way: shortWay, file: admitUnopposedFunction },
  { of: 'one', way: loneWay, file: admitOneFunction },
])('the locks of ended jobs that come with an admission of $of', ({ way, file }) => {
  const sound = file('opsledger', 'opsledger')
  afterEach(() => database.pool().query(replacing(sound)))

  /** A session that has the locks 1, 2 and 3, of which 1 and 2 are to be let go. */
  async function comeWith(termId: string) {
    const client = await database.pool().connect()
    try {
      await client.query('select pg_advisory_lock(key) from generate_series(1, 3) as k(key)')
      const asks = [askFor(`new under ${termId}`, 'first')]
      const answer = await ask(client, way, asks, { exclusion: 'session', termId, unlocks: '{1,2}' })
      const kept = await locksKept(client)
      return { answer, kept: kept.filter((key) => ['1', '2', '3'].includes(key)) }
    } finally {
      client.release(true)
    }
  }

  const retiredTerm = async () => {
    const worker = await scriptedWorker(database.pool())
    await worker.retire()
    return worker.termId
  }

  it('are let go, and no others', async () => {
    const { termId } = await scriptedWorker(database.pool())
    expect(await comeWith(termId)).toMatchObject({ answer: [{ verdict: 'admitted' }], kept: ['3'] })
  })

  it('are let go also where the term is retired and nothing is admitted', async () => {
    expect(await comeWith(await retiredTerm())).toEqual({ answer: 'term_retired', kept: ['3'] })
  })

  it('would be kept for ever if the term were looked at first (mutant)', async () => {
    await database
      .pool()
      .query(replacing(sound, [LET_GO, ''], [REFUSE_RETIRED, `${REFUSE_RETIRED}\n${LET_GO}`]))
    expect(await comeWith(await retiredTerm())).toEqual({ answer: 'term_retired', kept: ['1', '2', '3'] })
  })

  const LET_GO = `if p_unlocks <> '{}' then
    perform pg_advisory_unlock(key) from unnest(p_unlocks::bigint[]) as q(key);
  end if;`
  const REFUSE_RETIRED = `return '"term_retired"';
  end if;`
})
