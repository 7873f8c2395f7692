import { type JobIdentity, jobIdentity, type Ledger } from '@opsledger/core'
import type { Admission, Claim, RunClaim, Settlement } from '@opsledger/core/guard'
import { createGuard } from '@opsledger/dedupe'
import fc from 'fast-check'
import { v7 } from 'uuid'
import { describe, expect, test } from 'vitest'
import { settleOneFunction } from '../src/sql/settle.ts'
import { replacing } from './concurrency/broken-sql.ts'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

/**
 * Random interleavings of the attempts of one run, asked of three workers, against a small model of what must happen.
 * The workers hold their claims by leases, so that an attempt can be lost while its handler goes on.
 */
const WORKERS = 3
const DELIVERIES = 4
const COOLDOWN_MS = 600_000
const TYPE = 'assignment.restore'

type Ending = 'succeeded' | 'partially_succeeded' | 'failed' | 'retrying'
type Command =
  | { readonly do: 'admit'; readonly worker: number; readonly delivery: number }
  | { readonly do: 'race'; readonly worker: number; readonly delivery: number }
  | { readonly do: 'settle'; readonly attempt: number; readonly ending: Ending; readonly items: number }
  | { readonly do: 'lose'; readonly attempt: number }
  | { readonly do: 'sweep' }
  | { readonly do: 'cool' }

const index = (below: number) => fc.nat(below - 1)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('admit'), worker: index(WORKERS), delivery: index(DELIVERIES) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('race'), worker: index(WORKERS), delivery: index(DELIVERIES) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle'),
      // Counted from the last one: mostly the attempt that runs, sometimes one long gone.
      attempt: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: index(4) }),
      ending: fc.constantFrom<Ending[]>('succeeded', 'partially_succeeded', 'failed', 'retrying'),
      items: fc.integer({ min: 2, max: 1_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lose'), attempt: index(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cool') }) },
) as fc.Arbitrary<Command>

interface Attempt {
  readonly claim: RunClaim
  readonly worker: number
  readonly delivery: number
  /** Whether its handler has been heard of: whatever it was answered, it is over for its worker. */
  hasEnded: boolean
  isSettled: boolean
}

interface Counts {
  readonly total: number
  readonly processed: number
  readonly failed: number
}

/** What must be true, told without a database. */
interface Model {
  readonly attempts: Attempt[]
  holder: Attempt | null
  isCooling: boolean
  status: string
  outcome: string
  counts: Counts | null
  /** Deliveries that ended this run other than failed. */
  readonly ended: Set<number>
}

type System = ReturnType<typeof startSystem>

function startSystem(database: ReturnType<typeof useLedgerDatabase>, newLedger: () => Ledger) {
  const guards = Array.from({ length: WORKERS }, () => createGuard(newLedger(), { exclusion: 'lease' }))
  return {
    guards,
    /** Terms whose time is over. */
    expired: new Set<string>(),
    /** The last known term of each worker. */
    terms: [] as string[],
    query: async <R>(text: string, values: unknown[] = []) =>
      (await database.pool().query(text, values)).rows as R[],
  }
}

async function play(system: System, commands: readonly Command[]): Promise<void> {
  const runId = v7()
  const scope = { workspaceId: `w-${runId}`, tenantId: 't1' }
  const job = jobIdentity({ scope, type: TYPE, runId })
  const model: Model = {
    attempts: [],
    holder: null,
    isCooling: false,
    status: 'none',
    outcome: 'pending',
    counts: null,
    ended: new Set(),
  }
  for (const next of commands) {
    await step(system, model, job, next)
    await compare(system, model, job)
  }
}

async function step(system: System, model: Model, job: JobIdentity, next: Command): Promise<void> {
  switch (next.do) {
    case 'admit': {
      const expected = foresee(system, model, next)
      meet(system, model, next, await admit(system, job, next), expected)
      return
    }
    case 'race': {
      const other = {
        ...next,
        worker: (next.worker + 1) % WORKERS,
        delivery: (next.delivery + 1) % DELIVERIES,
      }
      const isOpen = [next, other].map((ask) => foresee(system, model, ask) === 'admitted')
      const answers = await Promise.all([admit(system, job, next), admit(system, job, other)])
      const admitted = answers.map((answer) => answer.admitted)
      // One of those who could be admitted is; whoever was not met the other one or what was there before.
      expect(admitted.filter(Boolean)).toHaveLength(isOpen.some(Boolean) ? 1 : 0)
      ;[next, other].forEach((ask, at) => {
        if (admitted[at]) meet(system, model, ask, answers[at]!, 'admitted')
      })
      return
    }
    case 'settle': {
      const attempt = model.attempts.at(-1 - next.attempt)
      if (attempt === undefined) return
      const before = await read(system, job)
      const settlement = settlementOf(next)
      const { answer } = await system.guards[attempt.worker]!.settle(attempt.claim, settlement, COOLDOWN_MS)
      attempt.hasEnded = true
      if (model.holder !== attempt) {
        expect(answer).toBe(attempt.isSettled ? 'already_settled' : 'superseded')
        expect(await read(system, job)).toEqual(before)
        return
      }
      expect(answer).toBe('settled')
      attempt.isSettled = true
      model.holder = null
      model.status = settlement.status
      model.outcome = settlement.outcome
      model.counts = settlement.counts
      model.isCooling = settlement.startsCooldown
      if (settlement.status === 'completed' && settlement.outcome !== 'failed')
        model.ended.add(attempt.delivery)
      return
    }
    case 'lose': {
      const attempt = model.attempts.at(-1 - next.attempt)
      if (attempt === undefined) return
      const { workerId } = attempt.claim
      await system.query('update opsledger.worker_lease set expires_at = started_at where id = $1', [
        workerId,
      ])
      system.expired.add(workerId)
      return
    }
    case 'sweep': {
      const { runs } = await system.guards[0]!.sweep({
        workspaceId: job.scope.workspaceId,
        limits: {},
        defaultLimitMs: COOLDOWN_MS,
        batch: 100,
        after: null,
      })
      const isLost = model.holder !== null && system.expired.has(model.holder.claim.workerId)
      expect(runs.map((run) => run.id)).toEqual(isLost ? [job.runId] : [])
      if (!isLost) return
      model.holder = null
      model.status = 'completed'
      model.outcome = 'failed'
      model.counts ??= { total: 0, processed: 0, failed: 0 }
      return
    }
    case 'cool': {
      await system.query(
        `update opsledger.job_claim set cooldown_until = clock_timestamp() where identity = $1 and state = 'cooling'`,
        [job.identity],
      )
      model.isCooling = false
    }
  }
}

interface Ask {
  readonly worker: number
  readonly delivery: number
}

async function admit(system: System, job: JobIdentity, { worker, delivery }: Ask): Promise<Admission> {
  const term = system.terms[worker]
  if (term !== undefined && system.expired.has(term)) {
    // A worker that is back in time goes on with its term, one that is not finds it retired: here it never is in time.
    await system.query(
      'update opsledger.worker_lease set retired_at = clock_timestamp() where id = $1 and retired_at is null',
      [term],
    )
  }
  const answer = await system.guards[worker]!.admit({
    job,
    newRunId: v7(),
    delivery: { id: `d${delivery}`, attempt: 1, maxAttempts: 3 },
    context: null,
  })
  if (answer.admitted) system.terms[worker] = answer.claim.workerId
  return answer
}

/** What a lone delivery must be told: the attempt that stands in its way, a reason, or that it is admitted. */
function foresee(system: System, model: Model, { worker, delivery }: Ask): Attempt | string {
  const own = model.attempts.find((attempt) => attempt.worker === worker && !attempt.hasEnded)
  if (own !== undefined) return own
  if (model.ended.has(delivery)) return 'already_terminal'
  if (model.holder !== null && !system.expired.has(model.holder.claim.workerId)) return model.holder
  if (model.isCooling) return 'cooldown'
  const hasEnded = model.status === 'completed' && model.outcome !== 'failed'
  if (hasEnded && model.attempts.some((attempt) => attempt.delivery === delivery)) return 'already_terminal'
  return 'admitted'
}

function meet(
  system: System,
  model: Model,
  { worker, delivery }: Ask,
  answer: Admission,
  expected: Attempt | string,
): void {
  if (!answer.admitted) {
    const { reason, action, holder } = answer.refusal
    if (typeof expected === 'string') {
      expect({ reason, action }).toEqual({ reason: expected, action: 'discard' })
      return
    }
    expect({ reason, action, fence: holder!.fence, attempt: holder!.attempt }).toEqual({
      reason: 'overlap',
      // A retry is its queue's to bring again, whoever executes now.
      action: model.attempts.some(
        (attempt) => attempt.delivery === delivery && attempt.claim.fence <= expected.claim.fence,
      )
        ? 'retry_later'
        : 'discard',
      fence: expected.claim.fence,
      attempt: expected.claim.attempt,
    })
    return
  }
  expect(expected).toBe('admitted')
  const { claim } = answer
  if (!isOfRun(claim)) throw new Error('It was admitted without a run')
  const last = model.attempts.at(-1)
  expect(system.expired).not.toContain(claim.workerId)
  expect(claim.attempt).toBe(model.attempts.length + 1)
  expect(claim.fence).toBeGreaterThan(last?.claim.fence ?? 0)
  const attempt = { claim, worker, delivery, hasEnded: false, isSettled: false }
  model.attempts.push(attempt)
  model.holder = attempt
  model.status = 'running'
  model.outcome = 'pending'
}

const isOfRun = (claim: Claim): claim is RunClaim => claim.runId !== null

function settlementOf({ ending, items }: Extract<Command, { do: 'settle' }>): Settlement {
  const failed = ending === 'succeeded' ? 0 : ending === 'partially_succeeded' ? 1 : items
  const hasFailed = ending === 'failed' || ending === 'retrying'
  return {
    status: ending === 'retrying' ? 'retrying' : 'completed',
    outcome: ending === 'retrying' ? 'pending' : ending,
    counts: { total: items + 1, processed: items, failed },
    itemFailures: failed === 0 ? {} : { 'provider.rejected': failed },
    reasonCode: hasFailed ? 'provider.unavailable' : null,
    message: hasFailed ? 'The provider is away.' : null,
    startsCooldown: ending !== 'retrying',
  }
}

async function read(system: System, job: JobIdentity) {
  const [rows] = await system.query<{
    run: Record<string, unknown> | null
    claim: Record<string, unknown> | null
  }>(
    `select (select to_jsonb(r) from opsledger.operation_run r where r.id = $1) as run,
       (select to_jsonb(c) from opsledger.job_claim c where c.identity = $2) as claim`,
    [job.runId, job.identity],
  )
  return rows!
}

async function compare(system: System, model: Model, job: JobIdentity): Promise<void> {
  const { run, claim } = await read(system, job)
  if (model.attempts.length === 0) {
    expect([run, claim]).toEqual([null, null])
    return
  }
  expect(run).toMatchObject({
    status: model.status,
    outcome: model.outcome,
    attempt: model.attempts.length,
    ...(model.counts ?? { total: null, processed: null, failed: null }),
  })
  const isHeld = model.holder !== null
  expect(isHeld).toBe(claim!.state === 'held')
  if (isHeld)
    expect([run!.fence, claim!.fence]).toEqual([model.holder!.claim.fence, model.holder!.claim.fence])
  if (model.isCooling) expect(claim!.state).toBe('cooling')
  // Every attempt that was settled is told once: as the run itself, or in its history.
  const history = ((run!.attempt_history ?? []) as { fence: number; outcome: string }[]).filter(
    (past) => past.outcome !== 'lost' && past.fence !== run!.fence,
  )
  const isShown = model.attempts.some((attempt) => attempt.isSettled && attempt.claim.fence === run!.fence)
  const settled = model.attempts.filter((attempt) => attempt.isSettled)
  expect(new Set(history.map((past) => past.fence)).size).toBe(history.length)
  expect(settled.length - (isShown ? 1 : 0)).toBe(
    history.filter((past) => settled.some((attempt) => attempt.claim.fence === past.fence)).length,
  )
}

const holdsFor = (system: System, numRuns: number, endOnFailure = false) =>
  fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 4, maxLength: 24 }), (commands) =>
      play(system, commands),
    ),
    { numRuns, interruptAfterTimeLimit: 20_000, endOnFailure },
  )

describe('attempts of one run, interleaved at random', () => {
  const database = useLedgerDatabase()
  const newLedger = useLedgers(database)

  test('the run shows the last attempt that settled, and nothing else changes anything', async () => {
    const system = startSystem(database, () => newLedger({ leaseMs: 600_000 }))
    await holdsFor(system, 120)
  })
})

const settleOne = settleOneFunction('opsledger', 'opsledger')

describe.each([
  {
    mutant: 'counts that are added to those of earlier attempts',
    sql: replacing(settleOne, ['total = p_total', 'total = coalesce(r.total, 0) + p_total']),
  },
  {
    mutant: 'a late settlement that frees the claim of a later attempt',
    sql: replacing(settleOne, ['and fence = p_fence', ''], ['and r.fence = p_fence', '']),
  },
  {
    mutant: 'a cooldown after an attempt that is to be retried',
    sql: replacing(settleOne, ['p_cooldown_ms > 0', 'true'], ['p_cooldown_ms *', '600000 *']),
  },
])('mutant: $mutant', ({ sql }) => {
  const database = useLedgerDatabase()
  const newLedger = useLedgers(database)

  test('is found', async () => {
    await database.pool().query(sql)
    const system = startSystem(database, () => newLedger({ leaseMs: 600_000 }))
    await expect(holdsFor(system, 1_000, true)).rejects.toThrow('Property failed after')
  })
})
