import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { JobIdentity } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import type pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { admitUnopposedFunction } from '../src/sql/admit-unopposed.ts'
import { type Ask, longWay, shortWay, type Told, type Way } from '../src/ways-to-admit.ts'
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

/** How a work stood when it was asked for; each leaves it so under its own name. */
const STATES: Readonly<Record<string, (work: string, worker: ScriptedWorker) => Promise<unknown>>> = {
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
  'closed for its lost worker': async (work, worker) => {
    await worker.admit(identify({ work }), 'first')
    await worker.expire()
    await sweep()
  },
  'opened at dispatch': (work) => open({ work }),
  'opened at dispatch under a run id': (work) => open({ work, runId: randomUUID() }),
  'held under a run id': (work, worker) => worker.admit(identify({ work, runId: randomUUID() }), 'first'),
  'cooling down under a run id': async (work, worker) =>
    worker.settle(await worker.admit(identify({ work, runId: randomUUID() }), 'first'), 'succeeded'),
  'closed for its lost worker, under a run id': async (work, worker) => {
    await worker.admit(identify({ work, runId: randomUUID() }), 'first')
    await worker.expire()
    await sweep()
  },
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

const DELIVERIES = ['first', 'second', 'unknown'] as const

const askFor = (work: string, deliveryId: string): Ask => ({
  request: {
    job: identify({ work }),
    newRunId: randomUUID(),
    delivery: { id: deliveryId, attempt: 1, maxAttempts: 3 },
    context: { quoted: '"\\{},NULL' },
    recordsRun: true,
  },
  liveFences: [],
  orphanFence: null,
})

/** What a way answers and writes, undone at once; without what differs from question to question. */
async function told(way: Way, asks: readonly Ask[]): Promise<{ answers: unknown[]; written: unknown }> {
  const { name, args, letsGo, answersFrom } = way(asks)
  const client = await database.pool().connect()
  try {
    await client.query('begin')
    const parameters = [...args, asking.termId, false, ...(letsGo ? ['{}'] : [])]
    const marks = parameters.map((_, index) => `$${index + 1}`)
    const { rows } = await client.query(`select opsledger.${name}(${marks})::text as answer`, parameters)
    const answers = answersFrom(JSON.parse(rows[0].answer)) as Told[]
    const works = asks.map(({ request }) => request.job.workKey)
    return {
      answers: answers.toSorted((a, b) => a.n - b.n).map(comparable),
      written: await rowsOf(client, works),
    }
  } finally {
    await client.query('rollback')
    client.release()
  }
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

describe('the short way to a claim answers and writes as the long one does', () => {
  it.each(Object.keys(STATES))('for work that is %s', async (state) => {
    for (const deliveryId of DELIVERIES) {
      const asks = [askFor(state, deliveryId)]
      expect(await told(shortWay, asks)).toEqual(await told(longWay, asks))
    }
  })

  it.each(DELIVERIES)('for all of these and new work in one batch (%s)', async (deliveryId) => {
    const works = Object.keys(STATES).flatMap((state) => [state, `new beside ${state}`])
    const asks = works.map((work) => askFor(work, deliveryId))
    const short = await told(shortWay, asks)
    expect(short).toEqual(await told(longWay, asks))
    expect(short.answers).toHaveLength(works.length)
  })
})

describe('that would show if it did not look at', () => {
  const sound = admitUnopposedFunction('opsledger', 'opsledger')
  afterEach(() => database.pool().query(replacing(sound)))

  it.each<[what: string, from: string, to: string]>([
    ['whether the lock was had', 'where got\n', 'where true\n'],
    ['who holds the claim', "c.state = 'held'\n", 'false\n'],
    ['the cooldown', 'c.cooldown_until > clock_timestamp()', 'false'],
    ['earlier attempts of the last run', 'r.attempt_history is not null', 'false'],
    ['whether the last run was lost', "r.outcome = 'failed' and", 'false and'],
    ['claims of the work under other identities', 'o.work_key = q.work and', 'false and'],
    ['the open run', 'r.work_key = q.work and r.completed_at is null', 'false'],
    ['what became of the delivery', 'r.completed_at is not null and', 'false and'],
    [
      'how often it was tried',
      '(work, run, workspace_id, tenant_id, type, delivery_id, attempt, maximum, context, fence, at)',
      '(work, run, workspace_id, tenant_id, type, delivery_id, maximum, attempt, context, fence, at)',
    ],
    [
      'whose it is',
      'select run, workspace_id, tenant_id, type, work, work,',
      'select run, workspace_id, null, type, work, work,',
    ],
  ])('%s', async (_, from, to) => {
    await database.pool().query(replacing(sound, [from, to]))
    expect(await differences()).not.toEqual([])
  })

  it('anything: and shows nothing while it does', async () => {
    expect(await differences()).toEqual([])
  })

  async function differences(): Promise<string[]> {
    const holder = await database.pool().connect()
    try {
      // Somebody else's lock, on work that nothing else stands in the way of.
      await holder.query('begin')
      await holder.query('select pg_advisory_xact_lock(opsledger.lock_key($1))', [
        identify({ work: 'locked' }).identity,
      ])
      const found: string[] = []
      for (const work of ['locked', ...Object.keys(STATES)]) {
        for (const deliveryId of DELIVERIES)
          if (await isDifferent(work, deliveryId)) found.push(`${work}, ${deliveryId}`)
      }
      return found
    } finally {
      await holder.query('rollback')
      holder.release()
    }
  }

  const isDifferent = async (work: string, deliveryId: string) => {
    const asks = [askFor(work, deliveryId)]
    const long = await told(longWay, asks)
    const short = await told(shortWay, asks).catch(() => 'refused by the database')
    return !isDeepStrictEqual(short, long)
  }
})
