import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { callText, parseAnswer, type RunSettlement } from '@opsledger/core/guard'
import { createGuard } from '@opsledger/dedupe'
import { waitUntilBlocked } from '@opsledger/testing'
import type pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { wayToSettle } from '../src/way-to-settle.ts'
import { mutate } from './acceptance/support/database.ts'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'
import { type ScriptedClaim, scriptedWorker } from './support/scripted-worker.ts'
import { admitUnrecorded, record, SETTLEMENT_STATES, type Work } from './support/settlement-states.ts'
import type { Queryable } from './support/variants.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

const FIFTEEN_MINUTES_MS = 900_000
const STATES = Object.keys(SETTLEMENT_STATES)

type Ending = Omit<RunSettlement, 'n' | 'run_id' | 'identity' | 'fence'>

/** How an attempt ends; no two numbers of a batch are the same: what is put in another's place shows. */
const ENDINGS: Readonly<Record<string, (place: number) => Ending>> = {
  succeeded: (place) =>
    ended('succeeded', { total: 90 + place, processed: 30 + place, cooldown_ms: 900_000 + place }),
  'succeeded, without a cooldown': (place) =>
    ended('succeeded', { total: 90 + place, processed: 30 + place }),
  'succeeded, with nothing counted': () => ended('succeeded', { cooldown_ms: FIFTEEN_MINUTES_MS }),
  'partially succeeded': (place) =>
    ended('partially_succeeded', {
      total: 90 + place,
      processed: 50 + place,
      failed: 10 + place,
      item_failures: { 'provider.throttled': 9 + place, 'provider.not_found': 1 },
      cooldown_ms: FIFTEEN_MINUTES_MS,
    }),
  'failed for good': (place) =>
    ended('failed', {
      total: 90 + place,
      processed: 50 + place,
      failed: 10 + place,
      item_failures: { 'provider.rejected': 10 + place },
      reason_code: 'provider.unavailable',
      message: `"quoted", \\ and {},NULL\nin line ${place} – 停电 🔌`,
      cooldown_ms: FIFTEEN_MINUTES_MS,
    }),
  cancelled: (place) =>
    ended('cancelled', {
      total: 90 + place,
      processed: 50 + place,
      reason_code: 'run.cancelled',
      message: 'An operator cancelled it.',
    }),
  'to be retried': (place) => ({
    ...ended('failed', {
      total: 90 + place,
      processed: 50 + place,
      failed: 10 + place,
      item_failures: { 'provider.timeout': 10 + place },
      reason_code: 'provider.timeout',
      message: `Attempt ${place} timed out.`,
    }),
    status: 'retrying',
    outcome: 'pending',
  }),
}

function ended(outcome: Ending['outcome'], parts: Partial<Ending>): Ending {
  return {
    status: 'completed',
    outcome,
    total: 0,
    processed: 0,
    failed: 0,
    item_failures: null,
    reason_code: null,
    message: null,
    cooldown_ms: 0,
    ...parts,
  }
}

/** What no run may be: whoever settles so is refused, where there is something to settle. */
const AGAINST_THE_RULES: Ending = ended('succeeded', { total: 3, processed: 3, failed: 1 })

const claims = new Map<string, ScriptedClaim>()
/** The tables as every settlement finds them. */
let found: Rows
let workFor: (name: string) => Promise<Work>

beforeAll(async () => {
  const ledger = newLedger()
  const { identify } = ledger.operation({
    type: 'assignment.fetch',
    scope: ({ work }: { work: string; runId?: string }) => ({ workspaceId: work, tenantId: 't' }),
    runId: ({ runId }) => runId,
    fingerprint: ({ work }) => work,
    guard: createGuard(ledger, { exclusion: 'lease' }),
    handler: () => 'done',
  })
  workFor = async (work) => ({
    pool: database.pool(),
    job: identify({ work }),
    jobUnderRunId: identify({ work, runId: randomUUID() }),
    worker: await scriptedWorker(database.pool()),
  })
  for (const [name, state] of Object.entries(SETTLEMENT_STATES))
    claims.set(name, await state.leaveSo(await workFor(name)))
  found = await rolledBack((client) => rowsOf(client))
})

const settlementOf = (state: string, ending: Ending, n = 0): RunSettlement => {
  const { runId, identity, fence } = claims.get(state)!
  return { n, run_id: runId, identity, fence, ...ending }
}

type Way = (settlements: readonly RunSettlement[]) => { name: string; args: unknown[] }
const asOne: Way = wayToSettle
const asMany: Way = (settlements) => ({ name: 'settle', args: [JSON.stringify(settlements)] })

interface Answer {
  readonly n: number
  readonly answer: string
  readonly completedAt: string | null
  readonly ending?: unknown
}

async function settle(client: pg.ClientBase, way: Way, settlements: readonly RunSettlement[]) {
  const { name, args } = way(settlements)
  const { rows } = await client.query(callText('opsledger', name, args.length), args)
  return (parseAnswer(rows) as Answer[]).toSorted((a, b) => a.n - b.n)
}

async function rolledBack<T>(
  act: (client: pg.ClientBase) => Promise<T>,
  begin = 'begin isolation level read committed; set local synchronous_commit to off',
): Promise<T> {
  const client = await database.pool().connect()
  try {
    await client.query(begin)
    return await act(client)
  } finally {
    await client.query('rollback')
    client.release()
  }
}

/**
 * What a way answers and writes, undone at once. And the locks it has until then, whether it has written or locked a
 * row, and what it asks of the rest of the transaction.
 */
const told = (way: Way, settlements: readonly RunSettlement[]) =>
  rolledBack(async (client) => {
    const answers = await settle(client, way, settlements).catch(refusal)
    if (!Array.isArray(answers)) return { answers, written: NOTHING }
    const { rows, beganAt, ...kept } = await leftBy(client)
    return comparable(
      { answers: completedAsWritten(answers, rows), written: changed(rows), ...kept },
      beganAt,
    )
  })

/** By a rule; what is no SQL (class 42) is refused by no rule, and shows nothing. */
function refusal(error: Error & { code?: string; constraint?: string }) {
  const { code, constraint } = error
  if (code?.startsWith('42')) throw error
  return { code, constraint }
}

type Row = Readonly<Record<string, unknown>>
type Rows = Readonly<Record<string, Row>>
const NOTHING: Rows = {}

/** Every claim by its identity and every run by its id: also what is none of the settlement's business. */
const ROWS = `
  select jsonb_object_agg(id, fields) from (
    select 'claim ' || identity as id, to_jsonb(c)
      || jsonb_build_object('cooldownMs', 1000 * extract(epoch from cooldown_until - settled_at)) as fields
    from opsledger.job_claim c
    union all select 'run ' || id, to_jsonb(r) from opsledger.operation_run r) as q`

async function rowsOf(client: pg.ClientBase): Promise<Rows> {
  const { rows } = await client.query(`select (${ROWS}) as rows`)
  return rows[0].rows
}

interface Left {
  readonly rows: Rows
  readonly beganAt: string
  readonly locks: readonly string[]
  readonly hasWritten: boolean
  readonly commit: string
  readonly idleLimit: string
}

/** The locks on tables that come with rows stand in no row's way; rows that are locked or written show as written. */
async function leftBy(client: pg.ClientBase): Promise<Left> {
  const { rows } = await client.query(
    `select (${ROWS}) as rows, to_jsonb(now()) as "beganAt", pg_current_xact_id_if_assigned() is not null as "hasWritten",
       current_setting('synchronous_commit') as commit,
       current_setting('idle_in_transaction_session_timeout') as "idleLimit",
       array(
         select concat_ws(' ', l.locktype, c.relname, l.classid, l.objid, l.mode)
         from pg_locks l left join pg_class c on c.oid = l.relation
         where l.pid = pg_backend_pid() and l.locktype in ('relation', 'advisory', 'tuple')
           and l.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
         order by 1) as locks`,
  )
  return rows[0]
}

const changed = (rows: Rows): Rows =>
  Object.fromEntries(Object.entries(rows).filter(([id, row]) => !isDeepStrictEqual(row, found[id])))

/** Of what has just been settled, the answer says the time of the row. */
const completedAsWritten = (answers: readonly Answer[], rows: Rows) =>
  answers.map((answer) => ({
    ...answer,
    isAsWritten: Object.values(rows).some(({ completed_at }) => completed_at === answer.completedAt),
  }))

/** The times of this transaction are no two transactions'. */
function comparable<T>(value: T, beganAt: string): T {
  const isOfNow = (text: unknown) =>
    typeof text === 'string' && /^\d{4}-\d\d-\d\dT/.test(text) && text >= beganAt
  return JSON.parse(JSON.stringify(value), (_, part) => (isOfNow(part) ? 'now' : part))
}

it('one settlement of a run has a way of its own, and the rest goes as many', () => {
  const one = settlementOf('held, its run executing', AGAINST_THE_RULES)
  expect(asOne([one]).name).toBe('settle_one')
  expect(asOne([one, one]).name).toBe('settle')
  expect(asOne([{ ...one, run_id: null }]).name).toBe('settle')
})

it('both ways plan and wait alike', async () => {
  const { rows } = await database.pool().query(
    `select proconfig from pg_proc where pronamespace = 'opsledger'::regnamespace
     and proname in ('settle', 'settle_one')`,
  )
  expect(rows).toHaveLength(2)
  expect(rows[0]).toEqual(rows[1])
})

describe('the way of one answers, writes and locks as the way of many', () => {
  it.each(STATES)('where the claim is %s', async (state) => {
    for (const ending of Object.values(ENDINGS)) {
      const settlements = [settlementOf(state, ending(7))]
      expect(await told(asOne, settlements)).toEqual(await told(asMany, settlements))
    }
  })

  it.each(STATES)('against the rules of a run, where the claim is %s', async (state) => {
    const settlements = [settlementOf(state, AGAINST_THE_RULES)]
    const one = await told(asOne, settlements)
    expect(one).toEqual(await told(asMany, settlements))
    if (SETTLEMENT_STATES[state]!.answer === 'settled')
      expect(one.answers).toEqual({ code: '23514', constraint: expect.any(String) })
  })

  it.each(['repeatable read', 'serializable'])('in a transaction that is %s: refused', async (isolation) => {
    const settlements = [settlementOf('held, its run executing', ENDINGS.succeeded!(7))]
    for (const way of [asOne, asMany]) {
      const refused = rolledBack(
        (client) => settle(client, way, settlements),
        `begin isolation level ${isolation}`,
      )
      await expect(refused).rejects.toMatchObject({ code: 'OL001' })
    }
  })
})

describe('what is told and written', () => {
  it.each(Object.entries(SETTLEMENT_STATES))('where the claim is %s', async (state, { answer, writes }) => {
    const { runId, identity } = claims.get(state)!
    for (const ending of Object.values(ENDINGS)) {
      const { cooldown_ms, ...run } = ending(7)
      const { answers, written } = await told(asOne, [settlementOf(state, ending(7))])
      expect(answers).toMatchObject([{ n: 0, answer }])
      const claim =
        writes === 'run and claim' && cooldown_ms > 0
          ? { state: 'cooling', settled_at: 'now', cooldown_until: 'now', cooldownMs: cooldown_ms }
          : { state: 'free', settled_at: 'now', cooldown_until: null, cooldownMs: null }
      const completed_at = run.status === 'completed' ? 'now' : null
      expect(Object.keys(written)).toHaveLength({ nothing: 0, claim: 1, 'run and claim': 2 }[writes])
      expect(written).toMatchObject({
        ...(writes !== 'nothing' && { [`claim ${identity}`]: claim }),
        ...(writes === 'run and claim' && { [`run ${runId}`]: { ...run, completed_at, progress: null } }),
      })
    }
  })

  it('where the attempt is to be retried: it is the last of the history', async () => {
    for (const state of STATES.filter((name) => SETTLEMENT_STATES[name]!.answer === 'settled')) {
      const { runId, fence } = claims.get(state)!
      const { written } = await told(asOne, [settlementOf(state, ENDINGS['to be retried']!(7))])
      const before = (found[`run ${runId}`]!.attempt_history ?? []) as unknown[]
      const { attempt_history } = written[`run ${runId}`]! as { attempt_history: unknown[] }
      expect(attempt_history.slice(0, -1)).toEqual(before.slice(-19))
      expect(attempt_history.at(-1)).toMatchObject({
        fence,
        outcome: 'failed',
        endedAt: 'now',
        reasonCode: 'provider.timeout',
        total: 97,
        processed: 57,
        failed: 17,
      })
    }
  })
})

/** One settlement for each state, ended in turn in each way; and in no order of the identities. */
const batchOf = (turn: number): RunSettlement[] => {
  const endings = Object.values(ENDINGS)
  return STATES.map((state, n) => settlementOf(state, endings[(n + turn) % endings.length]!(n), n))
}
const TURNS = Object.keys(ENDINGS).map((_, turn) => turn)

describe('all of these in one batch are answered and written as each by itself', () => {
  it.each(TURNS)('turn %i', async (turn) => {
    const batch = batchOf(turn)
    const together = await told(asMany, batch)
    const alone = await Promise.all(batch.map((one) => told(asOne, [one])))
    expect(together.answers).toEqual(alone.map(({ answers }, n) => ({ ...(answers as Answer[])[0]!, n })))
    expect(together.written).toEqual(Object.assign({}, ...alone.map(({ written }) => written)))
  })
})

type Change = readonly [from: string, to: string]
type Mutant = [what: string, ...changes: Change[]]

describe('a change would show,', () => {
  const endings: typeof ENDINGS = { ...ENDINGS, 'against the rules': () => AGAINST_THE_RULES }
  const question = (state: string, name: string) => ({
    name: `${state}, ${name}`,
    settlements: () => [settlementOf(state, endings[name]!(7))],
  })
  // All states, then all endings, each in one way: most of what shows, shows there.
  const alone = [
    ...STATES.map((state) => question(state, 'succeeded')),
    ...Object.keys(endings).map((name) => question(STATES[0]!, name)),
    ...STATES.flatMap((state) => Object.keys(endings).map((name) => question(state, name))),
  ]
  const together = TURNS.map((turn) => ({ name: `batch ${turn}`, settlements: () => batchOf(turn) }))
  const questions = [...together, ...alone]
  /** What the sound functions tell as many, by the name of the question. */
  let sound: ReadonlyMap<string, unknown>

  beforeAll(async () => {
    const answered = new Map<string, unknown>()
    for (const { name, settlements } of questions) answered.set(name, await told(asMany, settlements()))
    sound = answered
  })

  async function firstDifference(way: Way): Promise<string | null> {
    for (const { name, settlements } of way === asOne ? alone : questions)
      if (!isDeepStrictEqual(await told(way, settlements()), sound.get(name))) return name
    return null
  }

  it.each([
    { by: 'one', way: asOne },
    { by: 'many', way: asMany },
  ])('and nothing shows without one (by the way of $by)', async ({ way }) => {
    expect(await firstDifference(way)).toBeNull()
  })

  it.each<Mutant>([
    ['at which fence the claim is', [' and fence = p_fence', '']],
    ['whether the claim is held', [" and state = 'held'", '']],
    ['whether the claim was found', [`for update;\n  if found`, `for update;\n  if true`]],
    ['at which fence the run is', [' and r.fence = p_fence', '']],
    ['whether the run is executing', [" and r.status = 'running'", '']],
    ['whether the run was found', ['if found then\n      v_at', 'if true then\n      v_at']],
    ['what the run becomes', ['status = p_status', "status = 'completed'"]],
    ['how it ended', ['outcome = p_outcome', "outcome = 'succeeded'"]],
    ['the total', ['total = p_total', 'total = coalesce(r.total, 0) + p_total']],
    ['what was processed', ['processed = p_processed', 'processed = coalesce(r.processed, 0) + p_processed']],
    ['what failed', ['failed = p_failed', 'failed = coalesce(r.failed, 0) + p_failed']],
    ['the failed items', ['item_failures = p_item_failures', 'item_failures = r.item_failures']],
    ['why it failed', ['reason_code = p_reason_code', 'reason_code = r.reason_code']],
    ['what to say of it', ['message = p_message', 'message = r.message']],
    ['that its progress is over', ['progress = null,', '']],
    [
      'whether it has ended, for its time',
      ["completed_at = case when p_status = 'completed' then", 'completed_at = case when true then'],
    ],
    [
      'whether it has ended, for its history',
      ["attempt_history = case when p_status = 'completed' then", 'attempt_history = case when true then'],
    ],
    [
      'what its history says',
      ['p_total, p_processed, p_failed, clock', 'p_total, p_failed, p_processed, clock'],
    ],
    ['why its history says so', ["r, 'failed', p_reason_code", "r, 'failed', r.reason_code"]],
    [
      'whether the claim cools down',
      ["case when p_cooldown_ms > 0 then 'cooling'", "case when true then 'cooling'"],
    ],
    [
      'whether there is an end of the cooldown',
      ['cooldown_until = case when p_cooldown_ms > 0', 'cooldown_until = case when true'],
    ],
    ['how long it cools down', ['p_cooldown_ms * interval', '900000 * interval']],
    ['when it begins to', ['settled_at = v_at', 'settled_at = claimed_at']],
    ['which claim it is', ['\n      where identity = p_identity;', ';']],
    ['when the run ended', ["'completedAt', v_completed_at", "'completedAt', v_at"]],
    ['which claim the rest is asked for', ["'identity', p_identity", "'identity', p_run"]],
    ['which run the rest is asked for', ["'run_id', p_run", "'run_id', p_identity"]],
    ['which fence the rest is asked for', ["'fence', p_fence", "'fence', p_fence + 1"]],
    ['which place the rest is answered for', ["'n', 0, 'run_id'", "'n', 1, 'run_id'"]],
    ['whether the commit lasts', ["current_setting('synchronous_commit') = 'off'", 'false']],
    [
      'whether its client is still there',
      ["set_config('idle_in_transaction_session_timeout', '10s', true) is null", 'false'],
    ],
  ])('if settle_one did not look at %s', async (_, ...changes) => {
    await mutate(database.pool(), 'settle_one', changes)
    expect(await firstDifference(asOne)).not.toBeNull()
  })

  const HELD = "on c.identity = i.identity and c.fence = i.fence and c.state = 'held'"
  const LETS_GO = 'where c.identity = i.identity;'
  const WAS_SETTLED = '"opsledger".was_settled(r, i.fence) end'

  it.each<Mutant>([
    ['at which fence the claim is', [HELD, HELD.replace(' and c.fence = i.fence', '')]],
    ['whether the claim is held', [HELD, HELD.replace(" and c.state = 'held'", '')]],
    ['whether a run is recorded', ['if (v_held[1]).run_id is null then', 'if true then']],
    ['what the run was told', [" where a ->> 'answer' = 'settled'", '']],
    ['whether the attempt was settled', ['i.n = any (v_settled) and i.cooldown_ms', 'i.cooldown_ms']],
    [
      'whether the attempt was settled, to cool down',
      [
        "state = case when i.n = any (v_settled) and i.cooldown_ms > 0 then 'cooling'",
        "state = case when i.cooldown_ms > 0 then 'cooling'",
      ],
    ],
    [
      'whether the attempt was settled, for the end of the cooldown',
      ['cooldown_until = case when i.n = any (v_settled) and', 'cooldown_until = case when'],
    ],
    ['whether there is a cooldown', [' and i.cooldown_ms > 0', '']],
    ['how long it cools down', ['i.cooldown_ms * interval', '900000 * interval']],
    ['when it begins to', ['settled_at = i.at', 'settled_at = c.claimed_at']],
    ['which claim it is', [LETS_GO, ';']],
    ['what may let go of a claim', [LETS_GO, 'where c.identity = i.identity and i.n = any (v_settled);']],
    ['whether that was all', ['cardinality(v_held) = cardinality(v_settlements)', 'true']],
    ['whether a run is there to say it', ['case when r.id is null', 'case when false']],
    ['what the run says, where there is one', ['case when r.id is null', 'case when true']],
    ['whether somebody let go of the claim', ["then c.state <> 'held' else", 'then false else']],
    ['whether the claim is there', ["then c.state <> 'held' else", 'then true else']],
    ['whether this attempt was settled before', [WAS_SETTLED, 'false end']],
    ['whether this attempt was not settled before', [WAS_SETTLED, 'true end']],
    ['the run, but the claim', [WAS_SETTLED, "coalesce(c.state <> 'held', false) end"]],
    [
      'whose claim was let go of',
      [
        'c on c.identity = i.identity and c.fence = i.fence\n    left',
        'c on c.identity = i.identity\n    left',
      ],
    ],
    ['which it has answered', ['where i.n <> all (array(select x.n from unnest(v_held) as x))', '']],
    ['whose settlement is whose', ["jsonb_build_object('n', i.n", "jsonb_build_object('n', 0"]],
    ['whether the commit lasts', ["current_setting('synchronous_commit') = 'off'", 'false']],
    [
      'whether its client is still there',
      ["set_config('idle_in_transaction_session_timeout', '10s', true) is null", 'false'],
    ],
  ])('if settle did not look at %s', async (_, ...changes) => {
    await mutate(database.pool(), 'settle', changes)
    expect(await firstDifference(asMany)).not.toBeNull()
  })

  it.each<Mutant>([
    ['at which fence the run is', [' and r.fence = i.fence', '']],
    ['whether the run is executing', [" and r.status = 'running'", '']],
    ['what the run becomes', ['status = i.status', "status = 'completed'"]],
    ['how it ended', ['outcome = i.outcome', "outcome = 'succeeded'"]],
    ['the total', ['total = i.total', 'total = coalesce(r.total, 0) + i.total']],
    ['what was processed', ['processed = i.processed', 'processed = coalesce(r.processed, 0) + i.processed']],
    ['what failed', ['failed = i.failed', 'failed = coalesce(r.failed, 0) + i.failed']],
    ['the failed items', ['item_failures = i.item_failures', 'item_failures = r.item_failures']],
    ['why it failed', ['reason_code = i.reason_code', 'reason_code = r.reason_code']],
    ['what to say of it', ['message = i.message', 'message = r.message']],
    ['that its progress is over', ['progress = null,', '']],
    [
      'whether it has ended, for its time',
      ["completed_at = case when i.status = 'completed' then", 'completed_at = case when true then'],
    ],
    [
      'whether it has ended, for its history',
      ["attempt_history = case when i.status = 'completed' then", 'attempt_history = case when true then'],
    ],
    [
      'what its history says',
      ['i.total, i.processed, i.failed, clock', 'i.total, i.failed, i.processed, clock'],
    ],
    ['why its history says so', ["r, 'failed', i.reason_code", "r, 'failed', r.reason_code"]],
    ['when the run ended', ["'completedAt', run.completed_at", "'completedAt', clock_timestamp()"]],
    ['whose settlement is whose', ["jsonb_build_object('n', run.n", "jsonb_build_object('n', 0"]],
  ])('if settle_runs did not look at %s', async (_, ...changes) => {
    await mutate(database.pool(), 'settle_runs', changes)
    expect(await firstDifference(asMany)).not.toBeNull()
  })

  it.each<[name: string, ...mutant: Mutant]>([
    ['was_settled', 'whose end the run shows', ['((r).fence = p_fence) AND', 'true AND']],
    [
      'was_settled',
      'whether the run has ended',
      ["((r).status = 'completed'::opsledger.run_status)", 'true'],
    ],
    ['was_settled', 'the history', ['OR (EXISTS', 'OR (false AND EXISTS']],
    ['was_settled', 'which attempt of the history it is', ['::bigint = was_settled.p_fence', '::bigint > 0']],
    ['was_settled', 'whether that attempt was lost', ["<> 'lost'::text", "<> ''::text"]],
    ['ending_of', 'whose end the run shows', ['((r).fence = p_fence) AND', 'true AND']],
    ['ending_of', 'whether the run has ended', ["((r).status = 'completed'::opsledger.run_status)", 'true']],
    ['ending_of', 'which attempt of the history it is', ['::bigint = ending_of.p_fence', '::bigint > 0']],
  ])('if %s did not look at %s', async (name, _, ...changes) => {
    await mutate(database.pool(), name, changes)
    expect(await firstDifference(asMany)).not.toBeNull()
  })
})

// Last: it leaves rows behind.
describe('a run that is taken over while its settlement waits', () => {
  /** Whoever records alone takes the run without its claim, and has not committed when the settlement asks. */
  async function takenMeanwhile(way: Way, { of, isCommitted }: { of: string; isCommitted: boolean }) {
    const work = await workFor(of)
    const claim = await work.worker.admit(work.job, 'first')
    const [other, waiting] = [await database.pool().connect(), await database.pool().connect()]
    try {
      await other.query('begin')
      if (isCommitted) await lockClaim(other, claim)
      else await record({ pool: other, job: work.job })
      const { rows: sessions } = await waiting.query('select pg_backend_pid() as pid')
      const settling = settle(waiting, way, [
        { n: 0, run_id: claim.runId, ...claim, ...ENDINGS.succeeded!(7) },
      ])
      await waitUntilBlocked(database.pool(), { pid: sessions[0].pid })
      if (isCommitted) await record(work)
      await other.query('commit')
      const [answer] = await settling
      return { answer: answer!.answer, ...(await leftOf(claim)) }
    } finally {
      other.release(true)
      waiting.release()
    }
  }

  const lockClaim = (client: pg.ClientBase, { identity }: ScriptedClaim) =>
    client.query('select from opsledger.job_claim where identity = $1 for update', [identity])

  async function leftOf({ identity }: ScriptedClaim) {
    const { rows } = await database.pool().query(
      `select c.state, r.status, r.attempt from opsledger.job_claim c
       join opsledger.operation_run r on r.id = c.run_id where c.identity = $1`,
      [identity],
    )
    return rows[0]
  }

  const NOBODY_HOLDS_IT = { answer: 'superseded', state: 'free', status: 'running', attempt: 2 }

  it('for its claim: it is superseded, and the claim is free', async () => {
    const taken = await takenMeanwhile(asOne, { of: 'waits for its claim', isCommitted: true })
    expect(taken).toEqual(NOBODY_HOLDS_IT)
  })

  it('for its run: it is superseded, and the claim is free', async () => {
    const taken = await takenMeanwhile(asOne, { of: 'waits for its run', isCommitted: false })
    expect(taken).toEqual(NOBODY_HOLDS_IT)
  })

  it('for its claim, as many: the same', async () => {
    const taken = await takenMeanwhile(asMany, { of: 'many wait for their claims', isCommitted: true })
    expect(taken).toEqual(NOBODY_HOLDS_IT)
  })

  it('for its run, as many: the same', async () => {
    const taken = await takenMeanwhile(asMany, { of: 'many wait for their runs', isCommitted: false })
    expect(taken).toEqual(NOBODY_HOLDS_IT)
  })

  it.each([true, false])(
    'would cool down if it were not asked what was settled (mutant)',
    async (isCommitted) => {
      await mutate(database.pool(), 'settle', [['i.n = any (v_settled) and i.cooldown_ms', 'i.cooldown_ms']])
      const taken = await takenMeanwhile(asMany, { of: `not asked, ${isCommitted}`, isCommitted })
      expect(taken).toEqual({ ...NOBODY_HOLDS_IT, state: 'cooling' })
    },
  )

  it('would cool down if the run were judged before it is locked (mutant)', async () => {
    const lookFirst = `v_settled := array(select x.n from unnest(v_held) as x join opsledger.operation_run r
      on r.id = x.run_id and r.fence = x.fence and r.status = 'running');`
    await mutate(database.pool(), 'settle', [
      ['v_settled := array(', 'perform array('],
      ['v_answers := "opsledger".settle_runs', `${lookFirst} v_answers := "opsledger".settle_runs`],
    ])
    const taken = await takenMeanwhile(asMany, { of: 'judged before', isCommitted: false })
    expect(taken).toEqual({ ...NOBODY_HOLDS_IT, state: 'cooling' })
  })
})

describe('a claim that is taken over while its settlement waits for it', () => {
  /** Another worker has taken the claim over, and has not committed when the settlement asks. */
  async function takenMeanwhile(way: Way, of: string, { isRecorded = true } = {}) {
    const pool = database.pool()
    const { job, worker } = await workFor(of)
    const next = await scriptedWorker(pool)
    const admit = (client: Queryable, termId: string) =>
      isRecorded
        ? scriptedWorker(client, termId).then((asking) => asking.admit(job, termId))
        : admitUnrecorded(client, job, termId)
    const claim = await admit(pool, worker.termId)
    await worker.expire()
    const [other, waiting] = [await pool.connect(), await pool.connect()]
    try {
      await other.query('begin')
      const taken = await admit(other, next.termId)
      const { rows: sessions } = await waiting.query('select pg_backend_pid() as pid')
      const settling = settle(waiting, way, [
        { n: 0, ...claim, run_id: isRecorded ? claim.runId : null, ...ENDINGS.succeeded!(7) },
      ])
      await waitUntilBlocked(pool, { pid: sessions[0].pid })
      await other.query('commit')
      const [answer] = await settling
      const { rows } = await pool.query(
        'select state, fence = $2 as "isTheirs" from opsledger.job_claim where identity = $1',
        [claim.identity, taken.fence],
      )
      return { answer: answer!.answer, ...rows[0] }
    } finally {
      other.release(true)
      waiting.release()
    }
  }

  const THEY_HOLD_IT = { answer: 'superseded', state: 'held', isTheirs: true }

  it.each([
    { by: 'as one', way: asOne, isRecorded: true },
    { by: 'as many', way: asMany, isRecorded: true },
    { by: 'without a run', way: asMany, isRecorded: false },
  ])('$by: it is superseded, and the claim is left to them', async ({ by, way, isRecorded }) => {
    expect(await takenMeanwhile(way, `taken ${by}`, { isRecorded })).toEqual(THEY_HOLD_IT)
  })

  it.each([
    { by: 'as many', isRecorded: true, state: 'free', answer: 'superseded' },
    { by: 'without a run', isRecorded: false, state: 'cooling', answer: 'settled' },
  ])('$by: would be let go of if it were not locked first (mutant)', async ({ by, isRecorded, ...left }) => {
    await mutate(database.pool(), 'settle', [['for update of c', '']])
    expect(await takenMeanwhile(asMany, `unlocked ${by}`, { isRecorded })).toEqual({
      ...left,
      isTheirs: true,
    })
  })
})
