import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { CountError, OperationError, type Recorder, type Run } from '@opsledger/core'
import { eventually, startProxy } from '@opsledger/testing'
import { startWorker } from '@opsledger/testing/vitest'
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import { type LedgerDatabase, useVariantDatabase, VARIANTS } from '../support/variants.ts'
import {
  ASSIGNMENT_TYPES,
  type AssignmentJob,
  type AssignmentType,
  assignmentOperation,
  countItems,
  newJob,
} from './support/assignments.ts'
import { cutOff, expireLease, mutate, untilUnlocked } from './support/database.ts'
import { begin, delivery, executed, heldWork, refused } from './support/held-work.ts'
import type { KilledWorkerArgs } from './support/killed-worker.ts'
import { LONG_LEASE_MS, useWorkers, type Worker } from './support/workers.ts'

const SECRET = 'hunter2-correct-horse'

describe.each(VARIANTS)('assignment run summary counts ($name)', (variant) => {
  const database = useVariantDatabase(variant)
  const createWorker = useWorkers(database, variant)
  let shared: Worker | null = null
  const worker = () => {
    shared ??= createWorker({ progressEveryMs: 10, secrets: [SECRET] })
    return shared
  }

  const show = (job: AssignmentJob, runId: string): Promise<Run> => found(worker(), job, runId)
  const claimState = async (type: AssignmentType, job: AssignmentJob) => {
    const operation = assignmentOperation(worker(), type, () => null)
    return (await worker().guard.explain(operation.identify(job))).state
  }

  describe.each(ASSIGNMENT_TYPES)('%s', (type) => {
    test('a success shows its items, in the verdict and in the ledger', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.setTotal(3)
        countItems(counts, ['ok', 'ok', 'ok'])
        return 'three assignments'
      })
      const verdict = executed(await operation(job, delivery('job-1')))
      expect(verdict).toMatchObject({ value: 'three assignments', settlement: 'settled' })
      const run = await show(job, verdict.run.id)
      expect(run).toMatchObject({
        type,
        status: 'completed',
        outcome: 'succeeded',
        attempt: 1,
        counts: { total: 3, processed: 3, failed: 0 },
        itemFailures: {},
        reasonCode: null,
        message: null,
        progress: null,
        pastAttempts: [],
      })
      expect(verdict.run).toEqual(run)
      expect(await claimState(type, job)).toBe('cooling')
    })

    test('a partial success records each failed item and its code, and still shows the successful ones', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.setTotal(6)
        countItems(counts, [
          'ok',
          'provider.throttled',
          'ok',
          'provider.not_found',
          'provider.throttled',
          'ok',
        ])
      })
      const { run } = executed(await operation(job, delivery('job-1')))
      expect(await show(job, run.id)).toMatchObject({
        status: 'completed',
        outcome: 'partially_succeeded',
        counts: { total: 6, processed: 6, failed: 3 },
        itemFailures: { 'provider.throttled': 2, 'provider.not_found': 1 },
        reasonCode: null,
      })
      expect(await claimState(type, job)).toBe('cooling')
    })

    test('a handler that returns before all items were processed shows how far it came', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.setTotal(10)
        countItems(counts, ['ok', 'ok', 'provider.timeout'])
      })
      const { run } = executed(await operation(job, delivery('job-1')))
      expect(await show(job, run.id)).toMatchObject({
        outcome: 'partially_succeeded',
        counts: { total: 10, processed: 3, failed: 1 },
      })
    })

    test('a retry replaces the counts of the attempt before, which stays readable', async () => {
      const { run, between } = await retriedAfterSeven(worker(), type, newJob())
      expect(between).toMatchObject({
        status: 'retrying',
        outcome: 'pending',
        counts: { total: 9, processed: 7, failed: 2 },
        reasonCode: 'provider.unavailable',
        completedAt: null,
      })
      expect(run).toMatchObject({
        status: 'completed',
        outcome: 'succeeded',
        attempt: 2,
        counts: { total: 3, processed: 3, failed: 0 },
        itemFailures: {},
        reasonCode: null,
        message: null,
      })
      expect(run.pastAttempts).toHaveLength(1)
      expect(run.pastAttempts[0]).toMatchObject({
        attempt: 1,
        deliveryId: 'job-1',
        deliveryAttempt: 1,
        outcome: 'failed',
        counts: { total: 9, processed: 7, failed: 2 },
        reasonCode: 'provider.unavailable',
        message: 'The provider is down for maintenance.',
      })
      expect(run.pastAttempts[0]!.fence).toBeLessThan(run.fence!)
    })

    test('a non-terminal failure starts no cooldown', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, () => {
        throw new Error('not today')
      })
      await expect(operation(job, delivery('job-1', 1, 2))).rejects.toThrow('not today')
      expect(await claimState(type, job)).toBe('free')
    })

    test('a failure of the last attempt keeps the counts so far, a reason code and a sanitized message', async () => {
      const job = newJob()
      const error = Object.assign(new Error(`429 from https://sync:${SECRET}@provider.example/v1`), {
        status: 429,
      })
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.setTotal(10)
        countItems(counts, ['ok', 'ok', 'provider.not_found', 'ok'])
        throw error
      })
      await expect(operation(job, delivery('job-1', 3, 3))).rejects.toBe(error)
      const run = await newest(worker(), job)
      expect(run).toMatchObject({
        status: 'completed',
        outcome: 'failed',
        counts: { total: 10, processed: 4, failed: 1 },
        itemFailures: { 'provider.not_found': 1 },
        reasonCode: 'provider.throttled',
      })
      expect(run.message).toContain('429 from https://')
      expect(run.message).not.toContain(SECRET)
      expect(run.completedAt).toBeInstanceOf(Date)
      expect(await claimState(type, job)).toBe('cooling')
    })

    test('a permanent failure is terminal whatever attempts are left', async () => {
      const job = newJob()
      const error = new OperationError('course.archived', `Course is archived; token=${SECRET}`, {
        permanent: true,
      })
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        countItems(counts, ['ok', 'ok'])
        throw error
      })
      await expect(operation(job, delivery('job-1', 1, 5))).rejects.toBe(error)
      const run = await newest(worker(), job)
      expect(run).toMatchObject({
        status: 'completed',
        outcome: 'failed',
        counts: { total: 2, processed: 2, failed: 0 },
        reasonCode: 'course.archived',
      })
      expect(run.message).toContain('Course is archived')
      expect(run.message).not.toContain(SECRET)
      expect(await claimState(type, job)).toBe('cooling')
    })

    test('all items failed is a terminal failure, even at the first of several attempts', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.setTotal(4)
        countItems(counts, ['provider.forbidden', 'provider.forbidden', 'provider.timeout'])
        return 'returned all the same'
      })
      const verdict = executed(await operation(job, delivery('job-1', 1, 5)))
      expect(verdict.value).toBe('returned all the same')
      expect(await show(job, verdict.run.id)).toMatchObject({
        status: 'completed',
        outcome: 'failed',
        counts: { total: 4, processed: 3, failed: 3 },
        itemFailures: { 'provider.forbidden': 2, 'provider.timeout': 1 },
        reasonCode: 'items.all_failed',
        message: expect.stringContaining('3'),
      })
      expect(await claimState(type, job)).toBe('cooling')
    })

    test('without a set total, the total is what was processed', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.itemSucceeded(5)
        counts.itemFailed('provider.rejected', 2)
      })
      const { run } = executed(await operation(job, delivery('job-1')))
      expect((await show(job, run.id)).counts).toEqual({ total: 7, processed: 7, failed: 2 })
    })

    test.each([
      ['nothing counted is 0/0/0', null, { total: 0, processed: 0, failed: 0 }],
      ['a total without items is kept', 8, { total: 8, processed: 0, failed: 0 }],
    ])('%s, and a success', async (_, total, counts) => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts: recorder }) => {
        if (total !== null) recorder.setTotal(total)
      })
      const { run } = executed(await operation(job, delivery('job-1')))
      expect(await show(job, run.id)).toMatchObject({ outcome: 'succeeded', counts })
    })

    test('counting beyond the total throws at the call and counts nothing', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.setTotal(2)
        counts.itemSucceeded()
        expect(() => counts.itemSucceeded(2)).toThrow(CountError)
        expect(() => counts.itemFailed('provider.timeout', 2)).toThrow(CountError)
        expect(() => counts.setTotal(0)).toThrow(CountError)
        counts.itemSucceeded()
        expect(() => counts.itemFailed('provider.timeout')).toThrow(CountError)
      })
      const { run } = executed(await operation(job, delivery('job-1')))
      expect(await show(job, run.id)).toMatchObject({
        outcome: 'succeeded',
        counts: { total: 2, processed: 2, failed: 0 },
        itemFailures: {},
      })
    })

    test('counting beyond the total, uncaught, is a failure of the handler like any other', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.setTotal(1)
        countItems(counts, ['ok', 'ok'])
      })
      await expect(operation(job, delivery('job-1', 1, 2))).rejects.toThrow(CountError)
      expect(await newest(worker(), job)).toMatchObject({ status: 'retrying', outcome: 'pending' })
      await expect(operation(job, delivery('job-1', 2, 2))).rejects.toThrow(CountError)
      expect(await newest(worker(), job)).toMatchObject({
        status: 'completed',
        outcome: 'failed',
        attempt: 2,
        counts: { total: 1, processed: 1, failed: 0 },
        reasonCode: 'runtime.out_of_range',
        message: expect.stringContaining('1 of 1 items'),
      })
    })

    test('after the attempt has ended the recorder throws, and the run stays as it is', async () => {
      const job = newJob()
      const kept: Recorder[] = []
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        kept.push(counts)
        counts.itemSucceeded()
      })
      const { run } = executed(await operation(job, delivery('job-1')))
      const counts = kept[0]!
      expect(() => counts.itemSucceeded()).toThrow(CountError)
      expect(() => counts.itemFailed('provider.timeout')).toThrow(CountError)
      expect(() => counts.setTotal(9)).toThrow(CountError)
      expect((await show(job, run.id)).counts).toEqual({ total: 1, processed: 1, failed: 0 })
    })

    test('a cancelled run keeps its counts and starts no cooldown', async () => {
      const job = newJob()
      const operation = assignmentOperation(worker(), type, ({ counts }) => {
        counts.setTotal(5)
        countItems(counts, ['ok', 'provider.timeout'])
        throw new OperationError('run.cancelled', 'An operator cancelled it.')
      })
      await expect(operation(job, delivery('job-1', 1, 5))).rejects.toThrow('An operator cancelled it.')
      expect(await newest(worker(), job)).toMatchObject({
        status: 'completed',
        outcome: 'cancelled',
        counts: { total: 5, processed: 2, failed: 1 },
        reasonCode: 'run.cancelled',
        message: 'An operator cancelled it.',
      })
      expect(await claimState(type, job)).toBe('free')
      expect(refused(await operation(job, delivery('job-1', 2, 5)))).toMatchObject({
        reason: 'already_terminal',
        action: 'discard',
      })
    })

    test('a skipped run is 0/0/0', async () => {
      const job = newJob()
      const work = heldWork<AssignmentJob>()
      const operation = assignmentOperation(worker(), type, work.handler)
      const first = await begin(operation, work, job, delivery('job-1'))
      first.context.counts.itemSucceeded(4)
      const own = crypto.randomUUID()
      const { run } = refused(await operation({ ...job, operationRunId: own }, delivery('job-2')))
      first.finish()
      await first.verdict
      expect(run!.id).toBe(own)
      expect(await show(job, own)).toMatchObject({
        status: 'completed',
        outcome: 'skipped',
        counts: { total: 0, processed: 0, failed: 0 },
      })
    })

    describe('an attempt that was superseded', () => {
      test('changes nothing when it settles while the next one executes, and its caller is told', async () => {
        await using zombie = await takenOver(database, createWorker, type, newJob())
        const { before, after, verdict } = await zombie.settleWhileTheNextExecutes()
        expect(after).toEqual(before)
        expect(verdict).toMatchObject({ executed: true, settlement: 'superseded' })
        const run = await zombie.settleTheNext()
        expect(run).toMatchObject({
          outcome: 'succeeded',
          attempt: 2,
          counts: { total: 3, processed: 3, failed: 0 },
        })
      })

      test('changes nothing when it settles after the next one has, and its caller is told', async () => {
        await using zombie = await takenOver(database, createWorker, type, newJob())
        const settled = await zombie.settleTheNext()
        const { before, after, verdict } = await zombie.settleWhileTheNextExecutes()
        expect(after).toEqual(before)
        expect(verdict).toMatchObject({ executed: true, settlement: 'superseded' })
        expect(settled).toMatchObject({
          status: 'completed',
          outcome: 'succeeded',
          attempt: 2,
          counts: { total: 3, processed: 3, failed: 0 },
          itemFailures: {},
        })
        expect(settled.pastAttempts).toMatchObject([{ attempt: 1, outcome: 'lost', counts: null }])
      })

      test('changes nothing when it fails late: the caller gets its own error, and the event says superseded', async () => {
        await using zombie = await takenOver(database, createWorker, type, newJob())
        await zombie.settleTheNext()
        const answers: unknown[] = []
        const onSettled = (message: unknown) => answers.push(message)
        subscribe('opsledger:run.settled', onSettled)
        onTestFinished(() => {
          unsubscribe('opsledger:run.settled', onSettled)
        })
        const { before, after } = await zombie.failLate(new Error('too late'))
        expect(after).toEqual(before)
        expect(answers).toMatchObject([{ runId: after.id, attempt: 1, answer: 'superseded' }])
      })
    })

    describe('an attempt whose process is killed', () => {
      const killedAttempt = async (skip: TestContext['skip'], job: AssignmentJob, attempt: number) => {
        const { url } = database.postgres ?? skip('no other process can open the database of this one')
        const args: KilledWorkerArgs = {
          ...{ connection: url, exclusion: variant.exclusion, type, job, attempt },
          leaseMs: LONG_LEASE_MS,
        }
        const process = startWorker(new URL('./support/killed-worker.ts', import.meta.url), {
          args: [JSON.stringify(args)],
        })
        const run = await process.next<{ id: string; workerId: string }>()
        const running = await eventually(async () => {
          const shown = await show(job, run.id)
          expect(shown.progress).not.toBeNull()
          return shown
        })
        await process.kill()
        await untilUnlocked(database.pool(), run.id)
        expect(await worker().ledger.sweep()).toEqual([])
        await expireLease(database.pool(), run.workerId)
        const swept = await worker().ledger.sweep()
        expect(swept.map(({ id }) => id)).toEqual([run.id])
        return { running, swept: await show(job, run.id) }
      }

      test('shows its progress while it runs, and 0/0/0 once it was swept', async ({ skip }) => {
        const { running, swept } = await killedAttempt(skip, newJob(), 1)
        expect(running).toMatchObject({
          status: 'running',
          progress: { total: 10, processed: 5, failed: 1 },
          counts: null,
        })
        expect(swept).toMatchObject({
          status: 'completed',
          outcome: 'failed',
          reasonCode: 'worker.lost',
          counts: { total: 0, processed: 0, failed: 0 },
          itemFailures: {},
          progress: null,
        })
      })

      test('leaves the counts of the last settled attempt', async ({ skip }) => {
        const job = newJob()
        const operation = assignmentOperation(worker(), type, ({ counts }) => {
          counts.setTotal(9)
          counts.itemSucceeded(7)
          throw new Error('not today')
        })
        await expect(operation(job, delivery('job-1', 1))).rejects.toThrow('not today')
        const { running, swept } = await killedAttempt(skip, job, 2)
        expect(running).toMatchObject({ attempt: 2, progress: { total: 10, processed: 5, failed: 1 } })
        expect(swept).toMatchObject({
          outcome: 'failed',
          reasonCode: 'worker.lost',
          counts: { total: 9, processed: 7, failed: 0 },
          progress: null,
        })
      })

      test('starts no cooldown: the redelivery reopens the run, and its counts are the result', async ({
        skip,
      }) => {
        const job = newJob()
        const { swept } = await killedAttempt(skip, job, 1)
        const operation = assignmentOperation(worker(), type, ({ counts }) => counts.itemSucceeded(2))
        const { run } = executed(await operation(job, delivery('job-1', 2)))
        expect(run.id).toBe(swept.id)
        expect(await show(job, run.id)).toMatchObject({
          outcome: 'succeeded',
          attempt: 2,
          counts: { total: 2, processed: 2, failed: 0 },
        })
      })
    })
  })

  test('no completed run is without counts, and the table refuses one', async () => {
    const pool = database.pool()
    const { rows } = await pool.query<{ completed: number; incomplete: number }>(
      `select count(*)::integer as completed,
         (count(*) filter (where num_nulls(total, processed, failed) > 0))::integer as incomplete
       from opsledger.operation_run where status = 'completed'`,
    )
    expect(rows[0]!.completed).toBeGreaterThan(0)
    expect(rows[0]!.incomplete).toBe(0)
    for (const column of ['total', 'processed', 'failed']) {
      await expect(
        pool.query(`update opsledger.operation_run set ${column} = null where status = 'completed'`),
      ).rejects.toMatchObject({ code: '23514' })
    }
  })
})

describe.each(VARIANTS)('mutants that these tests notice ($name)', (variant) => {
  const database = useVariantDatabase(variant)
  const createWorker = useWorkers(database, variant)
  const type = 'assignment.restore'

  test('counts that are added across attempts', async () => {
    await mutate(database.pool(), 'settle_one', [
      ['total = p_total', 'total = coalesce(r.total, 0) + p_total'],
      ['processed = p_processed', 'processed = coalesce(r.processed, 0) + p_processed'],
    ])
    const { run } = await retriedAfterSeven(createWorker(), type, newJob())
    expect(run.counts).toEqual({ total: 12, processed: 10, failed: 0 })
  })

  test('a late settlement that is not fenced', async () => {
    await mutate(database.pool(), 'settle_one', [
      ['identity = p_identity and fence = p_fence and', 'identity = p_identity and'],
      ['r.id = p_run and r.fence = p_fence and', 'r.id = p_run and'],
    ])
    await using zombie = await takenOver(database, createWorker, type, newJob())
    const { after, verdict } = await zombie.settleWhileTheNextExecutes()
    expect(verdict).toMatchObject({ settlement: 'settled' })
    expect(after).toMatchObject({ status: 'completed', counts: { processed: 100 } })
  })
})

async function found({ ledger }: Worker, job: AssignmentJob, runId: string): Promise<Run> {
  const run = await ledger.get(job, runId)
  if (run === null) throw new Error(`Run ${runId} is not there`)
  return run
}

async function newest({ ledger }: Worker, job: AssignmentJob): Promise<Run> {
  const { runs } = await ledger.list(job)
  return runs[0]!
}

/** Attempt 1 counts 7 of 9 items and fails; attempt 2 counts 3 and succeeds. */
async function retriedAfterSeven(worker: Worker, type: AssignmentType, job: AssignmentJob) {
  const operation = assignmentOperation(worker, type, ({ counts, run }) => {
    if (run.attempt > 1 || run.pastAttempts.length > 0) return counts.itemSucceeded(3)
    counts.setTotal(9)
    counts.itemSucceeded(5)
    counts.itemFailed('provider.unavailable', 2)
    throw new OperationError('provider.unavailable', 'The provider is down for maintenance.')
  })
  await expect(operation(job, delivery('job-1', 1))).rejects.toThrow('down for maintenance')
  const between = await newest(worker, job)
  const verdict = executed(await operation(job, delivery('job-1', 2)))
  expect(verdict.run.id).toBe(between.id)
  return { between, run: await found(worker, job, verdict.run.id) }
}

/**
 * Attempt 1 has counted 100 items and executes still, in a worker that is cut off from the database; attempt 2 of the
 * same run executes elsewhere and has counted 3. Then the first worker is connected again. Where nothing can come
 * between a worker and its database, its lease has run out all the same, as under an event loop that was blocked.
 */
async function takenOver(
  database: LedgerDatabase,
  createWorker: ReturnType<typeof useWorkers>,
  type: AssignmentType,
  job: AssignmentJob,
) {
  const proxy = database.postgres && (await startProxy(database.postgres.url))
  const first = createWorker({ ...(proxy && { connection: proxy.url }), progressEveryMs: 10 })
  const firstWork = heldWork<AssignmentJob>()
  const second = createWorker()
  const secondWork = heldWork<AssignmentJob>()

  const zombie = await begin(
    assignmentOperation(first, type, firstWork.handler),
    firstWork,
    job,
    delivery('job-1', 1),
  )
  zombie.context.counts.setTotal(120)
  zombie.context.counts.itemSucceeded(90)
  zombie.context.counts.itemFailed('provider.timeout', 10)
  const { run } = zombie.context
  if (proxy === null) await expireLease(database.pool(), run.workerId)
  else await cutOff(database.pool(), proxy, run)

  const next = await begin(
    assignmentOperation(second, type, secondWork.handler),
    secondWork,
    job,
    delivery('job-1', 2),
  )
  next.context.counts.itemSucceeded(3)
  expect(next.context.run.id).toBe(run.id)
  expect(next.context.fence).toBeGreaterThan(zombie.context.fence)
  proxy?.resume()

  const settleLate = async (settle: () => Promise<unknown>) => {
    const before = await found(second, job, run.id)
    const verdict = await settle()
    return { before, verdict, after: await found(second, job, run.id) }
  }
  return {
    settleWhileTheNextExecutes: () =>
      settleLate(() => {
        zombie.finish()
        return zombie.verdict
      }),
    failLate: (error: Error) =>
      settleLate(async () => {
        zombie.fail(error)
        await expect(zombie.verdict).rejects.toBe(error)
      }),
    async settleTheNext() {
      next.finish()
      expect(await next.verdict).toMatchObject({ settlement: 'settled' })
      return found(second, job, run.id)
    },
    async [Symbol.asyncDispose]() {
      zombie.finish()
      next.finish()
      await Promise.allSettled([zombie.verdict, next.verdict])
      await Promise.all([first.ledger.close(), second.ledger.close()])
      await proxy?.stop()
    },
  }
}
