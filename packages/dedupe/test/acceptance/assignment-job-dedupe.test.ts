import { randomUUID } from 'node:crypto'
import { type Run, ScopeMismatchError } from '@opsledger/core'
import { waitUntilBlocked } from '@opsledger/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { useVariantDatabase, VARIANTS } from '../support/variants.ts'
import {
  ASSIGNMENT_TYPES,
  type AssignmentJob,
  type AssignmentType,
  assignmentOperation,
  newJob,
} from './support/assignments.ts'
import { contentsOf, endCooldown, expireLease, mutate } from './support/database.ts'
import { allButOne, begin, delivery, executed, heldWork, refused } from './support/held-work.ts'
import { useWorkers, type Worker } from './support/workers.ts'

const FIFTEEN_MINUTES_MS = 15 * 60 * 1000

describe.each(VARIANTS)('assignment job dedupe ($name)', (variant) => {
  const database = useVariantDatabase(variant)
  const createWorker = useWorkers(database, variant)
  const workers: Worker[] = []
  const worker = (index: number) => {
    workers[index] ??= createWorker()
    return workers[index]
  }
  const here = () => worker(0)
  const elsewhere = () => worker(1)
  const pool = () => database.pool()

  const run = async (job: AssignmentJob, runId: string | null): Promise<Run> => {
    const found = await here().ledger.get(job, runId!)
    if (found === null) throw new Error(`Run ${runId} is not there`)
    return found
  }
  const runsOf = async (job: AssignmentJob) => (await here().ledger.list(job)).runs

  /** An operation whose handler returns at once, or fails when its payload's tenant is told to. */
  const quick = (at: Worker, type: AssignmentType = 'assignment.fetch', options = {}) => {
    const outcomes: ('fail' | 'fail for good')[] = []
    const executions: string[] = []
    const operation = assignmentOperation(
      at,
      type,
      ({ run: executing, counts }) => {
        executions.push(executing.id)
        counts.itemSucceeded()
        if (outcomes.shift() !== undefined) throw new Error('provider says no')
        return 'done'
      },
      options,
    )
    return { operation, executions, failNext: () => outcomes.push('fail') }
  }

  describe.each([
    ['in one process', here],
    ['in two processes', elsewhere],
  ])('dispatched twice %s', (_, other) => {
    test.each(ASSIGNMENT_TYPES)(
      'at once, %s runs once and the other verdict names the holder',
      async (type) => {
        const job = newJob()
        const work = heldWork<AssignmentJob>()
        const first = assignmentOperation(here(), type, work.handler)
        const second = assignmentOperation(other(), type, work.handler)
        const unblock = await blockAdmissions(other() === here() ? 1 : 2)
        const answers = [first(job, delivery('job-1')), second(job, delivery('job-2'))]
        await unblock()
        const refusal = refused(await Promise.race(answers))
        const execution = await work.next()
        const { run: executing } = execution.context
        expect(refusal).toMatchObject({
          reason: 'overlap',
          action: 'discard',
          holder: {
            runId: executing.id,
            attempt: 1,
            workerId: executing.workerId,
            deliveryId: executing.delivery!.id,
            fence: executing.fence,
            since: executing.startedAt,
            pid: process.pid,
          },
          run: { id: executing.id, status: 'running' },
        })
        expect(refusal.retryAfterMs).toBeGreaterThan(0)
        execution.finish()
        const verdicts = await Promise.all(answers)
        expect(verdicts.filter((verdict) => verdict.executed)).toHaveLength(1)
        expect(work.executions).toHaveLength(1)
        expect(await runsOf(job)).toHaveLength(1)
      },
    )

    test('twenty times at once, it runs once', async () => {
      const job = newJob()
      const work = heldWork<AssignmentJob>()
      const operations = [here(), other()].map((at) =>
        assignmentOperation(at, 'assignment.fetch', work.handler),
      )
      const answers = Array.from({ length: 20 }, (_, n) => operations[n % 2]!(job, delivery(`job-${n}`)))
      const execution = await work.next()
      const holder = { runId: execution.context.run.id, fence: execution.context.fence }
      const { refusals, last } = await allButOne(answers)
      for (const refusal of refusals) {
        expect(refusal).toMatchObject({ reason: 'overlap', action: 'discard', holder })
      }
      execution.finish()
      expect(executed(await last).run.id).toBe(holder.runId)
      expect(work.executions).toHaveLength(1)
    })

    test('while it runs, another delivery is discarded and the same one comes back later', async () => {
      const job = newJob()
      const work = heldWork<AssignmentJob>()
      const first = await begin(
        assignmentOperation(here(), 'assignment.fetch', work.handler),
        work,
        job,
        delivery('job-1'),
      )
      const again = quick(other())
      const { id, workerId } = first.context.run
      const holder = { runId: id, attempt: 1, workerId, deliveryId: 'job-1' }
      expect(refused(await again.operation(job, delivery('job-2')))).toMatchObject({
        ...{ reason: 'overlap', action: 'discard', holder },
      })
      const redelivered = refused(await again.operation(job, delivery('job-1', 2)))
      expect(redelivered).toMatchObject({ reason: 'overlap', action: 'retry_later', holder })
      expect(redelivered.retryAfterMs).toBeGreaterThan(0)
      first.finish()
      await first.verdict
      expect(again.executions).toEqual([])
      expect(refused(await again.operation(job, delivery('job-1', 2)))).toMatchObject({
        ...{ reason: 'already_terminal', action: 'discard', run: { id } },
      })
    })

    test('it never overlaps itself, also when it runs longer than its cooldown', async () => {
      const job = newJob()
      const work = heldWork<AssignmentJob>()
      const options = { cooldownMs: 1 }
      const first = await begin(
        assignmentOperation(here(), 'assignment.fetch', work.handler, options),
        work,
        job,
        delivery('job-1'),
      )
      await pool().query(
        `update opsledger.job_claim set claimed_at = claimed_at - interval '1 hour' where run_id = $1`,
        [first.context.run.id],
      )
      const again = quick(other(), 'assignment.fetch', options)
      expect(refused(await again.operation(job, delivery('job-2')))).toMatchObject({ reason: 'overlap' })
      first.finish()
      await first.verdict
      expect(again.executions).toEqual([])
    })

    test('in its cooldown it is refused, with how long to wait and the finished run', async () => {
      const job = newJob()
      const { run: finished } = executed(await quick(here()).operation(job, delivery('job-1')))
      const before = await remainingMs(finished.id)
      const again = quick(other())
      const refusal = refused(await again.operation(job, delivery('job-2')))
      const after = await remainingMs(finished.id)
      expect(refusal).toMatchObject({
        reason: 'cooldown',
        action: 'discard',
        holder: { runId: finished.id, attempt: 1, deliveryId: 'job-1', since: await settledAt(finished.id) },
      })
      expect(refusal.run).toEqual(await run(job, finished.id))
      expect(refusal.retryAfterMs).toBeLessThanOrEqual(Math.ceil(before))
      expect(refusal.retryAfterMs).toBeGreaterThanOrEqual(after)
      expect(again.executions).toEqual([])
    })

    test('deliveries that arrive together in its cooldown are all refused', async () => {
      const job = newJob()
      const { run: finished } = executed(await quick(here()).operation(job, delivery('job-0')))
      const again = quick(other())
      const verdicts = await Promise.all(
        ['job-1', 'job-2', 'job-3'].map((id) => again.operation(job, delivery(id))),
      )
      for (const verdict of verdicts) {
        expect(refused(verdict)).toMatchObject({
          ...{ reason: 'cooldown', action: 'discard', holder: { runId: finished.id } },
        })
      }
    })

    test('after its cooldown it runs again, as a new run', async () => {
      const job = newJob()
      const { run: finished } = executed(await quick(here()).operation(job, delivery('job-1')))
      await endCooldown(pool(), finished.id)
      const { run: next } = executed(await quick(other()).operation(job, delivery('job-2')))
      expect(next.id).not.toBe(finished.id)
      expect(next).toMatchObject({ attempt: 1, outcome: 'succeeded' })
      expect(await run(job, finished.id)).toEqual(finished)
    })

    test('after its cooldown, a new delivery of its run id reopens that run', async () => {
      const job = { ...newJob(), operationRunId: randomUUID() }
      const { run: finished } = executed(await quick(here()).operation(job, delivery('job-1')))
      expect(refused(await quick(other()).operation(job, delivery('job-2')))).toMatchObject({
        ...{ reason: 'cooldown', run: { id: job.operationRunId } },
      })
      await endCooldown(pool(), finished.id)
      const { run: next } = executed(await quick(other()).operation(job, delivery('job-2')))
      expect(next.id).toBe(job.operationRunId)
      expect(await run(job, next.id)).toMatchObject({
        attempt: 2,
        outcome: 'succeeded',
        pastAttempts: [{ attempt: 1, outcome: 'succeeded', deliveryId: 'job-1', counts: finished.counts }],
      })
    })

    test.each([
      ['without a run id', undefined],
      ['with a run id', randomUUID()],
    ])('%s, a retry is admitted at once', async (_name, operationRunId) => {
      const job = { ...newJob(), operationRunId: operationRunId && randomUUID() }
      const first = quick(here())
      first.failNext()
      await expect(first.operation(job, delivery('job-1', 1))).rejects.toThrow('provider says no')
      const { run: retried } = executed(await quick(other()).operation(job, delivery('job-1', 2)))
      expect(retried.id).toBe(first.executions[0])
      expect(retried).toMatchObject({ attempt: 2, outcome: 'succeeded' })
      expect(await runsOf(job)).toHaveLength(1)
    })

    test.each([
      ['without a run id', false],
      ['with a run id', true],
    ])('%s, a delivery that has succeeded never runs again', async (_name, hasRunId) => {
      const job = { ...newJob(), operationRunId: hasRunId ? randomUUID() : undefined }
      const again = quick(other())
      const { run: finished } = executed(await quick(here()).operation(job, delivery('job-1')))
      const isDone = async () =>
        expect(refused(await again.operation(job, delivery('job-1', 2)))).toMatchObject({
          ...{ reason: 'already_terminal', action: 'discard', run: { id: finished.id } },
        })
      await isDone()
      await endCooldown(pool(), finished.id)
      await isDone()
      const { run: between } = executed(await quick(here()).operation(job, delivery('job-2')))
      await isDone()
      await endCooldown(pool(), between.id)
      await isDone()
      expect(again.executions).toEqual([])
    })

    test.each([
      ['without a run id', false],
      ['with a run id', true],
    ])('%s, a delivery that has failed for good cools down, and then runs again', async (_name, hasRunId) => {
      const job = { ...newJob(), operationRunId: hasRunId ? randomUUID() : undefined }
      const first = quick(here())
      first.failNext()
      await expect(first.operation(job, delivery('job-1', 3, 3))).rejects.toThrow('provider says no')
      const failedRunId = first.executions[0]!
      const again = quick(other())
      expect(refused(await again.operation(job, delivery('job-1', 4)))).toMatchObject({
        reason: 'cooldown',
        action: 'discard',
        run: { id: failedRunId, outcome: 'failed' },
      })
      await endCooldown(pool(), failedRunId)
      const { run: repeated } = executed(await again.operation(job, delivery('job-1', 4)))
      expect(repeated.outcome).toBe('succeeded')
      expect(repeated.id === failedRunId).toBe(hasRunId)
    })

    describe('with a run id and without', () => {
      test('the run id first: the other one overlaps, then meets its cooldown', async () => {
        const job = newJob()
        const named = { ...job, operationRunId: randomUUID() }
        const work = heldWork<AssignmentJob>()
        const first = await begin(
          assignmentOperation(here(), 'assignment.restore', work.handler),
          work,
          named,
          delivery('job-1'),
        )
        const again = quick(other(), 'assignment.restore')
        expect(refused(await again.operation(job, delivery('job-2')))).toMatchObject({
          ...{ reason: 'overlap', action: 'discard', holder: { runId: named.operationRunId } },
        })
        first.finish()
        await first.verdict
        expect(refused(await again.operation(job, delivery('job-3')))).toMatchObject({
          reason: 'cooldown',
          action: 'discard',
          holder: { runId: named.operationRunId },
          run: { id: named.operationRunId, outcome: 'succeeded' },
        })
        expect(again.executions).toEqual([])
        await endCooldown(pool(), named.operationRunId)
        expect(executed(await again.operation(job, delivery('job-4'))).run.id).not.toBe(named.operationRunId)
      })

      test('the run id second: its own run is skipped for the other one, executing or cooling down', async () => {
        const job = newJob()
        const work = heldWork<AssignmentJob>()
        const first = await begin(
          assignmentOperation(here(), 'assignment.restore', work.handler),
          work,
          job,
          delivery('job-1'),
        )
        const canonicalRunId = first.context.run.id
        const again = quick(other(), 'assignment.restore')
        const isSkipped = async (operationRunId: string, deliveryId: string) => {
          const refusal = refused(await again.operation({ ...job, operationRunId }, delivery(deliveryId)))
          expect(refusal).toMatchObject({
            reason: 'not_canonical',
            action: 'discard',
            holder: { runId: canonicalRunId, deliveryId: 'job-1' },
          })
          const own = await run(job, operationRunId)
          expect(own).toMatchObject({
            status: 'completed',
            outcome: 'skipped',
            reasonCode: 'run.not_canonical',
            canonicalRunId,
            counts: { total: 0, processed: 0, failed: 0 },
          })
          expect(refusal.run).toEqual(own)
          return refusal
        }
        await isSkipped(randomUUID(), 'job-2')
        first.finish()
        await first.verdict
        const { retryAfterMs } = await isSkipped(randomUUID(), 'job-3')
        expect(retryAfterMs).toBeGreaterThan(0)
        expect(again.executions).toEqual([])
        expect(await run(job, canonicalRunId)).toMatchObject({ outcome: 'succeeded', attempt: 1 })
      })

      test('of two run ids of one work, the second is skipped for the first', async () => {
        const job = newJob()
        const canonical = { ...job, operationRunId: randomUUID() }
        const other2 = { ...job, operationRunId: randomUUID() }
        const work = heldWork<AssignmentJob>()
        const first = await begin(
          assignmentOperation(here(), 'assignment.restore', work.handler),
          work,
          canonical,
          delivery('job-1'),
        )
        const again = quick(other(), 'assignment.restore')
        expect(refused(await again.operation(other2, delivery('job-2')))).toMatchObject({
          reason: 'not_canonical',
          action: 'discard',
          run: { id: other2.operationRunId, outcome: 'skipped', canonicalRunId: canonical.operationRunId },
        })
        first.finish()
        await first.verdict
        expect(refused(await again.operation(other2, delivery('job-3')))).toMatchObject({
          ...{ reason: 'not_canonical', action: 'discard' },
        })
        expect(again.executions).toEqual([])
      })
    })

    describe('when the canonical run only waits', () => {
      const openCanonical = async (job: AssignmentJob) => {
        const opened = await quick(here()).operation.open(job)
        expect(opened).toMatchObject({ state: 'opened', run: { status: 'queued', attempt: 0 } })
        return opened.run.id
      }
      const isSkippedFor = async (job: AssignmentJob, runId: string, canonicalRunId: string) =>
        expect(await run(job, runId)).toMatchObject({
          ...{ status: 'completed', outcome: 'skipped', reasonCode: 'run.not_canonical', canonicalRunId },
        })

      test('queued: a delivery of another run executes it, and its own run is skipped', async () => {
        const job = newJob()
        const canonicalRunId = await openCanonical(job)
        const own = { ...job, operationRunId: randomUUID() }
        const again = quick(other())
        const { run: done } = executed(await again.operation(own, delivery('job-2')))
        expect(done).toMatchObject({ id: canonicalRunId, attempt: 1, outcome: 'succeeded' })
        expect(again.executions).toEqual([canonicalRunId])
        await isSkippedFor(job, own.operationRunId, canonicalRunId)
        expect(refused(await again.operation(own, delivery('job-2', 2)))).toMatchObject({
          ...{ reason: 'already_terminal', action: 'discard', run: { id: canonicalRunId } },
        })
        const canonical = { ...job, operationRunId: canonicalRunId }
        expect(refused(await again.operation(canonical, delivery('job-1')))).toMatchObject({
          ...{ reason: 'cooldown', action: 'discard', run: { id: canonicalRunId } },
        })
      })

      test('queued: a delivery without a run id executes it', async () => {
        const job = newJob()
        const canonicalRunId = await openCanonical(job)
        const { run: done } = executed(await quick(other()).operation(job, delivery('job-2')))
        expect(done).toMatchObject({ id: canonicalRunId, attempt: 1, outcome: 'succeeded' })
        expect(await runsOf(job)).toHaveLength(1)
      })

      test('a failing attempt of it by that delivery can be retried by that delivery', async () => {
        const job = newJob()
        const canonicalRunId = await openCanonical(job)
        const own = { ...job, operationRunId: randomUUID() }
        const first = quick(here())
        first.failNext()
        await expect(first.operation(own, delivery('job-2', 1))).rejects.toThrow('provider says no')
        expect(await run(job, canonicalRunId)).toMatchObject({ status: 'retrying', attempt: 1 })
        await isSkippedFor(job, own.operationRunId, canonicalRunId)
        const { run: done } = executed(await quick(other()).operation(own, delivery('job-2', 2)))
        expect(done).toMatchObject({ id: canonicalRunId, attempt: 2, outcome: 'succeeded' })
        await isSkippedFor(job, own.operationRunId, canonicalRunId)
      })

      test('retrying: a delivery of another run executes its next attempt', async () => {
        const job = newJob()
        const canonical = { ...job, operationRunId: randomUUID() }
        const first = quick(here())
        first.failNext()
        await expect(first.operation(canonical, delivery('job-1', 1))).rejects.toThrow('provider says no')
        const own = { ...job, operationRunId: randomUUID() }
        const { run: done } = executed(await quick(other()).operation(own, delivery('job-2')))
        expect(done).toMatchObject({ id: canonical.operationRunId, attempt: 2, outcome: 'succeeded' })
        await isSkippedFor(job, own.operationRunId, canonical.operationRunId)
        expect(refused(await first.operation(canonical, delivery('job-1', 2)))).toMatchObject({
          ...{ reason: 'cooldown', action: 'discard' },
        })
      })
    })

    test('for two tenants with the same payload, both run at the same time', async () => {
      const job = newJob()
      const neighbour = { ...job, tenantId: randomUUID() }
      const work = heldWork<AssignmentJob>()
      const first = await begin(
        assignmentOperation(here(), 'assignment.fetch', work.handler),
        work,
        job,
        delivery('job-1'),
      )
      const again = quick(other())
      const { run: theirs } = executed(await again.operation(neighbour, delivery('job-1')))
      expect(refused(await again.operation(neighbour, delivery('job-2')))).toMatchObject({
        ...{ reason: 'cooldown', holder: { runId: theirs.id } },
      })
      const { guard } = other()
      expect(await guard.release(again.operation.identify(neighbour))).toBe(1)
      expect(await guard.explain(again.operation.identify(job))).toMatchObject({ state: 'held' })
      first.finish()
      const { run: mine } = executed(await first.verdict)
      expect(mine.id).not.toBe(theirs.id)
      expect(await here().ledger.get(neighbour, mine.id)).toBeNull()
      expect((await runsOf(neighbour)).map(({ id }) => id)).toEqual([theirs.id])
    })
  })

  test('however slow the database is, a lock that is busy is tried again before a delivery is sent back', async ({
    skip,
  }) => {
    skip(database.postgres === null, 'on one connection admissions take turns: no lock is ever busy')
    const job = newJob()
    const work = heldWork<AssignmentJob>()
    const unblock = await blockAdmissions(2, 300)
    const answers = [here(), elsewhere()].map((at, n) =>
      assignmentOperation(at, 'assignment.fetch', work.handler)(job, delivery(`job-${n}`)),
    )
    await unblock()
    expect(refused(await Promise.race(answers))).toMatchObject({ reason: 'overlap', action: 'discard' })
    const execution = await work.next()
    execution.finish()
    await Promise.all(answers)
  })

  describe('the cooldown', () => {
    const cooldownOf = async (runId: string) => {
      const { rows } = await pool().query<{ ms: string | null; state: string }>(
        `select state, 1000 * extract(epoch from cooldown_until - settled_at) as ms
         from opsledger.job_claim where run_id = $1`,
        [runId],
      )
      return { state: rows[0]!.state, ms: rows[0]!.ms === null ? null : Number(rows[0]!.ms) }
    }

    test.each([
      ['a success', false],
      ['a terminal failure', true],
    ])('lasts exactly 15 minutes after %s, unless told otherwise', async (_, isFailure) => {
      const job = newJob()
      const { operation, executions, failNext } = quick(here())
      if (isFailure) failNext()
      await operation(job, delivery('job-1', 3, 3)).catch(() => {})
      expect(await cooldownOf(executions[0]!)).toEqual({ state: 'cooling', ms: FIFTEEN_MINUTES_MS })
    })

    test('is measured by the clock of the database', async ({ skip }) => {
      skip(database.postgres === null, 'the clock of PGlite is the clock of its process')
      const job = newJob()
      const { operation } = quick(here())
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 24 * 60 * 60 * 1000 })
      const { run: finished } = executed(await operation(job, delivery('job-1')))
      expect(await cooldownOf(finished.id)).toEqual({ state: 'cooling', ms: FIFTEEN_MINUTES_MS })
      expect(await remainingMs(finished.id)).toBeGreaterThan(0)
      vi.setSystemTime(Date.now() + 48 * 60 * 60 * 1000)
      expect(refused(await operation(job, delivery('job-2')))).toMatchObject({ reason: 'cooldown' })
      await endCooldown(pool(), finished.id)
      vi.setSystemTime(Date.now() - 72 * 60 * 60 * 1000)
      expect((await operation(job, delivery('job-3'))).executed).toBe(true)
    })

    test('can be shorter for an operation, and is then as exact', async () => {
      const job = newJob()
      const { operation } = quick(here(), 'assignment.restore', { cooldownMs: 45_000 })
      const { run: finished } = executed(await operation(job, delivery('job-1')))
      expect(await cooldownOf(finished.id)).toEqual({ state: 'cooling', ms: 45_000 })
      expect(refused(await operation(job, delivery('job-2')))).toMatchObject({ reason: 'cooldown' })
      await endCooldown(pool(), finished.id)
      expect((await operation(job, delivery('job-2'))).executed).toBe(true)
    })

    test('of 0 ms never refuses, and the same delivery still runs only once', async () => {
      const job = newJob()
      const { operation, executions } = quick(here(), 'assignment.restore', { cooldownMs: 0 })
      const { run: first } = executed(await operation(job, delivery('job-1')))
      expect(await cooldownOf(first.id)).toEqual({ state: 'free', ms: null })
      const { run: second } = executed(await operation(job, delivery('job-2')))
      expect(executions).toEqual([first.id, second.id])
      expect(refused(await operation(job, delivery('job-1', 2)))).toMatchObject({
        ...{ reason: 'already_terminal', run: { id: first.id } },
      })
    })

    test('can be ended by an operator, for work with a run id and without', async () => {
      const job = newJob()
      const { operation } = quick(here())
      const { guard } = elsewhere()
      const named = { ...job, operationRunId: randomUUID() }
      expect(await guard.release(operation.identify(job))).toBe(0)
      for (const [payload, asked] of [
        [job, job],
        [named, job],
        [named, named],
      ] as const) {
        const id = randomUUID()
        executed(await operation(payload, delivery(id)))
        expect(refused(await operation(job, delivery(`${id}-again`)))).toMatchObject({ reason: 'cooldown' })
        expect(await guard.release(operation.identify(asked))).toBe(1)
        expect(await guard.release(operation.identify(asked))).toBe(0)
        expect(await guard.explain(operation.identify(asked))).toMatchObject({ state: 'free' })
      }
      expect((await operation(job, delivery('last'))).executed).toBe(true)
    })

    test('release does not touch work that executes', async () => {
      const job = newJob()
      const work = heldWork<AssignmentJob>()
      const operation = assignmentOperation(here(), 'assignment.fetch', work.handler)
      const first = await begin(operation, work, job, delivery('job-1'))
      expect(await elsewhere().guard.release(operation.identify(job))).toBe(0)
      expect(refused(await quick(elsewhere()).operation(job, delivery('job-2')))).toMatchObject({
        reason: 'overlap',
      })
      first.finish()
      expect(await first.verdict).toMatchObject({ settlement: 'settled' })
    })
  })

  describe('open, at dispatch', () => {
    test('says opened, already_open, cooling_down or exists, and with which run', async () => {
      const job = newJob()
      const { operation } = quick(here())
      const opened = await operation.open(job)
      expect(opened).toMatchObject({
        state: 'opened',
        run: { status: 'queued', outcome: 'pending', attempt: 0 },
      })
      const named = { ...job, operationRunId: opened.run.id }

      expect(await operation.open(job)).toMatchObject({ state: 'already_open', run: { id: opened.run.id } })
      expect(await operation.open({ ...job, operationRunId: randomUUID() })).toMatchObject({
        ...{ state: 'already_open', run: { id: opened.run.id } },
      })

      const work = heldWork<AssignmentJob>()
      const held = assignmentOperation(elsewhere(), 'assignment.fetch', work.handler)
      const first = await begin(held, work, named, delivery('job-1'))
      expect(first.context.run.id).toBe(opened.run.id)
      expect(await operation.open(job)).toMatchObject({
        ...{ state: 'already_open', run: { id: opened.run.id, status: 'running' } },
      })
      first.finish()
      const { run: finished } = executed(await first.verdict)

      for (const payload of [job, named, { ...job, operationRunId: randomUUID() }]) {
        expect(await operation.open(payload)).toEqual({ state: 'cooling_down', run: finished })
      }
      await endCooldown(pool(), finished.id)
      expect(await operation.open(named)).toEqual({ state: 'exists', run: finished })
      const next = await operation.open(job)
      expect(next.state).toBe('opened')
      expect(next.run.id).not.toBe(finished.id)
      expect(await runsOf(job)).toHaveLength(2)
    })

    test('by many at once opens one run', async () => {
      const job = newJob()
      const operations = [quick(here()).operation, quick(elsewhere()).operation]
      const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => operations[n % 2]!.open(job)))
      expect(new Set(answers.map(({ run: { id } }) => id)).size).toBe(1)
      expect(answers.filter(({ state }) => state === 'opened')).toHaveLength(1)
      expect(answers.filter(({ state }) => state === 'already_open')).toHaveLength(9)
      expect(await runsOf(job)).toHaveLength(1)
    })

    test('of work that executes without a run id returns that run, and its delivery overlaps', async () => {
      const job = newJob()
      const work = heldWork<AssignmentJob>()
      const operation = assignmentOperation(here(), 'assignment.fetch', work.handler)
      const first = await begin(operation, work, job, delivery('job-1'))
      const { id } = first.context.run
      const again = quick(elsewhere())
      expect(await again.operation.open(job)).toMatchObject({ state: 'already_open', run: { id } })
      const named = { ...job, operationRunId: id }
      for (const { operation: late } of [again, quick(here())]) {
        expect(refused(await late(named, delivery('job-2')))).toMatchObject({
          ...{ reason: 'overlap', action: 'discard', holder: { runId: id } },
        })
      }
      first.finish()
      await first.verdict
      expect(refused(await again.operation(named, delivery('job-2')))).toMatchObject({ reason: 'cooldown' })
    })
  })

  test('explain says who stands in the way in each state', async () => {
    const own = createWorker()
    const job = newJob()
    const work = heldWork<AssignmentJob>()
    const operation = assignmentOperation(own, 'assignment.fetch', work.handler)
    const { guard } = elsewhere()
    const named = { ...job, operationRunId: randomUUID() }
    const explain = async () => {
      const [byWork, byRun] = await Promise.all([
        guard.explain(operation.identify(job)),
        guard.explain(operation.identify(named)),
      ])
      if (byWork.state === 'free') return byWork
      const comparable = ({ ...explanation }) => ({ ...explanation, retryAfterMs: null })
      expect(comparable(byRun)).toEqual(comparable(byWork))
      return byWork
    }
    expect(await explain()).toEqual({ state: 'free', lastRunId: null, settledAt: null })

    const first = await begin(operation, work, named, delivery('job-1'))
    const { run: executing } = first.context
    const held = {
      state: 'held',
      runId: named.operationRunId,
      attempt: 1,
      fence: executing.fence,
      deliveryId: 'job-1',
      workerId: executing.workerId,
      pid: process.pid,
      since: executing.startedAt,
    }
    const live = await explain()
    expect(live).toMatchObject({ ...held, lease: 'live', why: expect.stringContaining(named.operationRunId) })
    expect(live).toMatchObject({
      leaseExpiresAt: expect.any(Date),
      lockKey: expect.stringMatching(/^-?\d+$/),
    })
    await expireLease(pool(), executing.workerId)
    expect(await explain()).toMatchObject({
      ...held,
      lease: 'expired',
      why: expect.stringContaining('expired'),
    })
    await pool().query('update opsledger.worker_lease set retired_at = clock_timestamp() where id = $1', [
      executing.workerId,
    ])
    expect(await explain()).toMatchObject({
      ...held,
      lease: 'retired',
      why: expect.stringContaining('retired'),
    })

    first.finish()
    const { run: finished } = executed(await first.verdict)
    const before = await remainingMs(finished.id)
    const cooling = await explain()
    expect(cooling).toMatchObject({
      state: 'cooling',
      runId: finished.id,
      since: await settledAt(finished.id),
      until: new Date((await settledAt(finished.id)).getTime() + FIFTEEN_MINUTES_MS),
      why: expect.stringContaining(finished.id),
    })
    if (cooling.state !== 'cooling') throw new Error('unreachable')
    expect(cooling.retryAfterMs).toBeLessThanOrEqual(Math.ceil(before))
    expect(cooling.retryAfterMs).toBeGreaterThan(0)
    const neighbour = operation.identify({ ...job, tenantId: randomUUID() })
    expect(await guard.explain(neighbour)).toEqual({ state: 'free', lastRunId: null, settledAt: null })

    await endCooldown(pool(), finished.id)
    expect(await explain()).toEqual({
      state: 'free',
      lastRunId: finished.id,
      settledAt: await settledAt(finished.id),
    })
  })

  describe("a delivery with a run id that is somebody else's", () => {
    const intruders = [
      ['another tenant', 'assignment.fetch', (job: AssignmentJob) => ({ ...job, tenantId: randomUUID() })],
      [
        'another workspace',
        'assignment.fetch',
        (job: AssignmentJob) => ({ ...job, workspaceId: 'workspace-2' }),
      ],
      ['another type', 'assignment.restore', (job: AssignmentJob) => job],
      [
        'another type of another course',
        'assignment.restore',
        (job: AssignmentJob) => ({ ...job, courseId: 'course-8' }),
      ],
    ] as const

    /** Brings a run of the job into a state; answers with how to end what executes. */
    const states: Record<string, (job: Required<AssignmentJob>) => Promise<() => Promise<unknown>>> = {
      queued: async (job) => {
        await quick(here()).operation.open(job)
        return async () => {}
      },
      running: async (job) => {
        const work = heldWork<AssignmentJob>()
        const operation = assignmentOperation(here(), 'assignment.fetch', work.handler)
        const first = await begin(operation, work, job, delivery('job-1'))
        return async () => {
          first.finish()
          return first.verdict
        }
      },
      retrying: async (job) => {
        const { operation, failNext } = quick(here())
        failNext()
        await operation(job, delivery('job-1', 1)).catch(() => {})
        return async () => {}
      },
      'cooling down': async (job) => {
        await quick(here()).operation(job, delivery('job-1'))
        return async () => {}
      },
      finished: async (job) => {
        await quick(here()).operation(job, delivery('job-1'))
        await endCooldown(pool(), job.operationRunId)
        return async () => {}
      },
    }

    describe.each([
      ['in one process', here],
      ['in two processes', elsewhere],
    ])('%s', (_, other) => {
      test.each(
        intruders.flatMap(([name, type, intrude]) =>
          Object.keys(states).map((state) => [name, state, type, intrude] as const),
        ),
      )('of %s, %s: throws, writes nothing and names nobody', async (_name, state, type, intrude) => {
        const job = { ...newJob(), operationRunId: randomUUID() }
        const warm = quick(other(), type)
        executed(await warm.operation(newJob(), delivery('warm')))
        const end = await states[state]!(job)
        const before = await contentsOf(pool())
        const mine = intrude(job)
        for (const attempt of [
          () => warm.operation(mine, delivery('job-9')),
          () => warm.operation(mine, delivery('job-1')),
          () => warm.operation.open(mine),
        ]) {
          const error = await attempt().then(
            (answer) => answer,
            (thrown: unknown) => thrown,
          )
          expect(error).toBeInstanceOf(ScopeMismatchError)
          expect(error).toMatchObject({ code: 'scope_mismatch', runId: job.operationRunId })
          if (mine.tenantId !== job.tenantId) expect(String(error)).not.toContain(job.tenantId)
        }
        expect(await contentsOf(pool())).toEqual(before)
        expect(warm.executions).toHaveLength(1)
        await end()
      })
    })
  })

  /** Admissions that arrive in that many processes wait for the test (and `forMs` more), and then go on at once. */
  async function blockAdmissions(processes: number, forMs = 0): Promise<() => Promise<void>> {
    // What these processes need once, they have then.
    for (const at of [here(), elsewhere()]) executed(await quick(at).operation(newJob(), delivery('warm')))
    // On one connection they take turns by themselves: the second waits until the first has committed.
    if (database.postgres === null) return async () => {}
    const observer = database.postgres.pool()
    const client = await observer.connect()
    await client.query('begin')
    await client.query('lock table opsledger.job_claim in access exclusive mode')
    return async () => {
      try {
        await waitUntilBlocked(observer, { count: processes })
        await client.query('select pg_sleep($1)', [forMs / 1000])
      } finally {
        await client.query('rollback')
        client.release()
      }
    }
  }

  async function settledAt(runId: string): Promise<Date> {
    const { rows } = await pool().query<{ at: Date }>(
      'select settled_at as at from opsledger.job_claim where run_id = $1',
      [runId],
    )
    return rows[0]!.at
  }

  async function remainingMs(runId: string): Promise<number> {
    const { rows } = await pool().query<{ ms: string }>(
      `select 1000 * extract(epoch from cooldown_until - clock_timestamp()) as ms
       from opsledger.job_claim where run_id = $1`,
      [runId],
    )
    return Number(rows[0]!.ms)
  }

  afterEach(() => {
    vi.useRealTimers()
  })
})

describe.each(VARIANTS)('mutants that these tests notice ($name)', (variant) => {
  const database = useVariantDatabase(variant)
  const createWorker = useWorkers(database, variant)
  const twice = async (job: AssignmentJob, then?: (runId: string) => Promise<unknown>) => {
    const executions: string[] = []
    const { ledger, guard } = createWorker()
    const operation = assignmentOperation({ ledger, guard }, 'assignment.fetch', ({ run }) => {
      executions.push(run.id)
    })
    await operation(job, delivery('job-1'))
    await then?.(executions[0]!)
    const verdict = await operation(job, delivery('job-2'))
    return { executions, verdict, operation }
  }
  const withMutant = (functionName: string, replacements: readonly (readonly [string, string])[]) =>
    mutate(database.pool(), functionName, replacements)

  test('a held claim that is not looked at, nor its lock', async () => {
    await withMutant('admit', [
      ['(seen.lease).retired_at is not null or (seen.lease).expires_at <= v_at', 'true'],
      ['and not v_mine and (seen.lease).retired_at is null then', 'and v_mine is null then'],
      ['where l.id = c.worker_id and l.retired_at is not null', 'where l.id = c.worker_id'],
      ['then pg_try_advisory_lock(k.target_key)', 'then true'],
    ])
    const job = newJob()
    const work = heldWork<AssignmentJob>()
    const [one, other] = [createWorker(), createWorker()].map((at) =>
      assignmentOperation(at, 'assignment.fetch', work.handler),
    )
    const first = await begin(one!, work, job, delivery('job-1'))
    const second = await begin(other!, work, job, delivery('job-2'))
    for (const execution of [first, second]) execution.finish()
    await Promise.all([first.verdict, second.verdict])
    expect(work.executions).toHaveLength(2)
  })

  test('a cooldown that is not looked at', async () => {
    await withMutant('admit', [
      [`(seen.claim).state = 'cooling' and`, `(seen.claim).state = 'cooling!' and`],
      [`(c.state = 'cooling' and c.cooldown_until <= clock_timestamp())`, `(c.state = 'cooling' and true)`],
    ])
    const { executions } = await twice(newJob())
    expect(executions).toHaveLength(2)
  })

  test('a cooldown of another length', async () => {
    await withMutant('settle_one', [[`interval '1 millisecond'`, `interval '1001 microseconds'`]])
    const { executions } = await twice(newJob())
    const { rows } = await database.pool().query<{ seconds: string }>(
      `select extract(epoch from cooldown_until - settled_at) as seconds from opsledger.job_claim
         where run_id = $1`,
      [executions[0]],
    )
    expect(Number(rows[0]!.seconds)).not.toBe(900)
  })

  test('a delivery that ended, forgotten once another one has reopened its run', async () => {
    await withMutant('ended_in_history', [
      [`'failed', 'lost'`, `'failed', 'lost', 'succeeded'`],
      [`r.status = 'completed' and`, 'false and'],
    ])
    const job = { ...newJob(), operationRunId: randomUUID() }
    const { operation, executions } = await twice(job, (runId) => endCooldown(database.pool(), runId))
    await endCooldown(database.pool(), executions[1]!)
    expect((await operation(job, delivery('job-1', 2))).executed).toBe(true)
  })

  test('a scope that is not checked', async () => {
    await withMutant('admit', [
      [
        'if seen.named_id is not null and not seen.is_of_scope then',
        'if seen.named_id is null and false then',
      ],
    ])
    const job = { ...newJob(), operationRunId: randomUUID() }
    const { operation, executions } = await twice(job)
    await endCooldown(database.pool(), executions[0]!)
    const before = await contentsOf(database.pool())
    await operation({ ...job, tenantId: randomUUID() }, delivery('job-3'))
    expect(await contentsOf(database.pool())).not.toEqual(before)
  })
})
