import { hostname } from 'node:os'
import { createGuard, DEFAULT_COOLDOWN_MS, type ExclusionMode } from '@opsledger/dedupe'
import { describe, expect, test } from 'vitest'
import { useLedgerDatabase, useLedgers } from '../support/ledger.ts'
import {
  ADMIT_WITHOUT_EITHER,
  ADMIT_WITHOUT_LOCK,
  ADMIT_WITHOUT_ROW,
  SETTLE_WITHOUT_FENCE,
} from './broken-sql.ts'
import { answersOf, complaintsAbout, type Execution, executionsOf, overlapsIn } from './judge.ts'
import { type StressReport, stress } from './stress.ts'

const CASES: { name: string; modes: ExclusionMode[] }[] = [
  { name: 'session', modes: ['session', 'session', 'session', 'session'] },
  { name: 'lease', modes: ['lease', 'lease', 'lease', 'lease'] },
  { name: 'session and lease mixed', modes: ['session', 'lease', 'session', 'lease'] },
]

interface RunFacts {
  id: string
  status: string
  outcome: string
  attempt: number
  fence: number
  history: { attempt: number; fence: number; outcome: string }[] | null
}

describe.each(CASES)('four processes, exclusion by $name', ({ modes }) => {
  const database = useLedgerDatabase()

  const readRuns = async () => {
    const { rows } = await database.pool().query<RunFacts>(
      `select id, status, outcome, attempt, fence::float8 as fence, attempt_history as history
       from opsledger.operation_run`,
    )
    return new Map(rows.map((run) => [run.id, run]))
  }

  test('1,200 deliveries of 100 works: none overlaps, every refusal is true, each delivery ends', async () => {
    const report = await stress({
      name: 'calm',
      url: database.url,
      modes,
      seed: 20_260_711,
      works: 100,
      deliveries: 1_200,
      cooldownMs: DEFAULT_COOLDOWN_MS,
    })
    const executions = assertSound(report)
    // A work with a cooldown succeeds once; the others are executed again and again.
    expect(executions.length).toBeGreaterThan(200)
    const runs = await readRuns()
    expect([...runs.values()].filter((run) => run.status !== 'completed')).toEqual([])
    for (const [runId, ofRun] of Map.groupBy(executions, (execution) => execution.runId)) {
      const attempts = ofRun.map((execution) => execution.attempt).toSorted((a, b) => a - b)
      expect(attempts).toEqual(attempts.map((_, index) => index + 1))
      expect(runs.get(runId)).toMatchObject({ attempt: attempts.length })
    }
    await assertNothingIsHeld()
  })

  test('workers killed in mid-work: no overlap, every work ends, the attempts are those that began', async () => {
    const seed = Number(process.env.OPSLEDGER_STRESS_SEED ?? Date.now() % 1_000_000)
    console.info(`OPSLEDGER_STRESS_SEED=${seed}`)
    const report = await stress({
      name: 'killed',
      url: database.url,
      modes,
      seed,
      works: 60,
      deliveries: 400,
      cooldownMs: DEFAULT_COOLDOWN_MS,
      leaseMs: 1_500,
      concurrency: 12,
      handlerMs: 150,
      kills: 6,
    })
    const executions = assertSound(report)
    const lost = executions.filter((execution) => execution.endedAt === null)
    expect(new Set(lost.map((execution) => execution.pid)).size).toBeGreaterThan(3)
    const runs = await readRuns()
    for (const [work, ofWork] of Map.groupBy(executions, (execution) => execution.work)) {
      const last = ofWork.toSorted((a, b) => a.fence - b.fence).at(-1)!
      expect({ work, status: runs.get(last.runId)!.status }).toEqual({ work, status: 'completed' })
    }
    expect([...runs.values()].filter((run) => run.status !== 'completed')).toEqual([])
    for (const [runId, ofRun] of Map.groupBy(executions, (execution) => execution.runId)) {
      assertAttempts(runs.get(runId)!, ofRun)
    }
    await assertNothingIsHeld()
  })

  const assertNothingIsHeld = async () => {
    const { rows } = await database.pool().query(
      `select (select count(*)::int from opsledger.job_claim where state = 'held') as claims,
        (select count(*)::int from pg_locks where locktype = 'advisory'
           and database = (select oid from pg_database where datname = current_database())) as locks`,
    )
    expect(rows).toEqual([{ claims: 0, locks: 0 }])
  }
})

describe('what keeps two executions apart', () => {
  const deliverWith = async (url: string, exclusion: ExclusionMode, seed = 7) => {
    const { marks, killedAt } = await stress({
      name: 'mutant',
      url,
      modes: [exclusion, exclusion],
      seed,
      works: 12,
      deliveries: 240,
      cooldownMs: 0,
    })
    const executions = executionsOf(marks)
    expect(executions.length).toBeGreaterThan(12)
    return overlapsIn(executions, killedAt).length
  }

  describe.each([
    { broken: 'the claim row without its condition', sql: ADMIT_WITHOUT_ROW, exclusion: 'lease' },
    { broken: 'neither row nor lock', sql: ADMIT_WITHOUT_EITHER, exclusion: 'session' },
  ] as const)('mutant: $broken, exclusion by $exclusion', ({ sql, exclusion }) => {
    const database = useLedgerDatabase()
    test('executions overlap, and the journals show it', async () => {
      await database.pool().query(sql)
      // Whether two processes really meet is chance; that they never do in ten rounds is not.
      let overlaps = 0
      for (let seed = 1; seed <= 10 && overlaps === 0; seed++) {
        overlaps = await deliverWith(database.url, exclusion, seed)
      }
      expect(overlaps).toBeGreaterThan(0)
    })
  })

  describe.each([
    { alone: 'the lock', sql: ADMIT_WITHOUT_ROW, exclusion: 'session' },
    { alone: 'the row', sql: ADMIT_WITHOUT_LOCK, exclusion: 'session' },
    { alone: 'the row', sql: ADMIT_WITHOUT_LOCK, exclusion: 'lease' },
  ] as const)('$alone alone, exclusion by $exclusion', ({ sql, exclusion }) => {
    const database = useLedgerDatabase()
    test('still holds while nothing else fails: they are two keys', async () => {
      await database.pool().query(sql)
      expect(await deliverWith(database.url, exclusion)).toBe(0)
    })
  })

  describe.each([
    { name: 'a settlement', mutant: null, isFreed: false },
    {
      name: 'mutant: a settlement that does not look at the fence',
      mutant: SETTLE_WITHOUT_FENCE,
      isFreed: true,
    },
  ])('$name', ({ mutant, isFreed }) => {
    const database = useLedgerDatabase()
    const newLedger = useLedgers(database)

    test(`of a superseded attempt ${isFreed ? 'lets a third one in' : 'keeps its successor alone'}`, async () => {
      if (mutant !== null) await database.pool().query(mutant)
      const [first, second, third] = [1, 2, 3].map(() => {
        const ledger = newLedger()
        const entered = Promise.withResolvers<void>()
        const mayEnd = Promise.withResolvers<Error | undefined>()
        const operation = ledger.operation({
          type: 'assignment.fetch',
          guard: createGuard(ledger, { exclusion: 'lease' }),
          scope: (_: object) => ({ workspaceId: 'w1' }),
          fingerprint: () => 'one',
          handler: async () => {
            entered.resolve()
            const error = await mayEnd.promise
            if (error !== undefined) throw error
          },
        })
        const end = (error?: Error) => mayEnd.resolve(error)
        return { operation, entered: entered.promise, end }
      })
      const superseded = first!.operation({}, { id: 'a', attempt: 1, maxAttempts: 3 })
      await first!.entered
      await database.pool().query('update opsledger.worker_lease set expires_at = started_at')
      const successor = second!.operation({}, { id: 'b', attempt: 1, maxAttempts: 3 })
      await second!.entered

      first!.end(new Error('the provider is away'))
      await expect(superseded).rejects.toThrow('the provider is away')
      const contender = third!.operation({}, { id: 'c', attempt: 1, maxAttempts: 3 })
      third!.end()
      expect(await contender).toMatchObject(
        isFreed ? { executed: true } : { executed: false, reason: 'overlap', holder: { deliveryId: 'b' } },
      )
      second!.end()
      expect(await successor).toMatchObject({
        settlement: isFreed ? expect.not.stringMatching(/^settled$/) : 'settled',
      })
    })
  })
})

/** What the journals say of the exclusion, whatever became of the workers. */
function assertSound({ marks, killedAt, jobs }: StressReport): Execution[] {
  const executions = executionsOf(marks)
  expect(overlapsIn(executions, killedAt).slice(0, 5)).toEqual([])
  expect(complaintsAbout(marks, killedAt, hostname()).slice(0, 5)).toEqual([])
  const answered = new Set(
    answersOf(marks).flatMap(({ deliveryId, answer }) => {
      const isEnd = answer.kind === 'executed' || (answer.kind === 'skipped' && answer.action === 'discard')
      return isEnd ? [deliveryId] : []
    }),
  )
  expect(jobs.filter((job) => !answered.has(job.deliveryId))).toEqual([])
  return executions
}

/**
 * Attempts are numbered in the order of their fences, and the run shows the last one. One whose process was killed
 * between its admission and its handler is in no journal: the run's history knows it as lost.
 */
function assertAttempts(run: RunFacts, ofRun: readonly Execution[]): void {
  const journal = ofRun.toSorted((a, b) => a.fence - b.fence)
  const history = new Map((run.history ?? []).map((past) => [past.attempt, past]))
  for (const { attempt, fence, endedAt } of journal) {
    const past = history.get(attempt)
    if (attempt === run.attempt) expect(fence).toBe(run.fence)
    else if (past !== undefined) expect(past.fence).toBe(fence)
    if (endedAt === null && past !== undefined) expect(past.outcome).toBe('lost')
  }
  const attempts = journal.map((execution) => execution.attempt)
  const unseen = Array.from({ length: run.attempt }, (_, n) => n + 1).filter((n) => !attempts.includes(n))
  expect(attempts).toEqual(attempts.toSorted((a, b) => a - b))
  for (const attempt of unseen) expect(history.get(attempt)?.outcome).toBe('lost')
}
