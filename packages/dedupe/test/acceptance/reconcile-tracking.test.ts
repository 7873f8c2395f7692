import { randomUUID } from 'node:crypto'
import {
  type HandlerContext,
  InvalidOptionError,
  OperationError,
  type Run,
  ScopeMismatchError,
  type SystemJobOptions,
} from '@opsledger/core'
import { describe, expect, test } from 'vitest'
import { useVariantDatabase, VARIANTS } from '../support/variants.ts'
import { assignmentOperation, newJob } from './support/assignments.ts'
import { contentsOf, mutate } from './support/database.ts'
import {
  allButOne,
  begin,
  delivery,
  executed,
  type HeldWork,
  heldWork,
  refused,
} from './support/held-work.ts'
import { useWorkers, type Worker } from './support/workers.ts'

const TYPE = 'ops.reconcile_adapter_runs'
const SECRET = 'correct-horse-battery-staple'

interface ReconcileJob {
  readonly workspaceId: string
  readonly operationRunId?: string
}

/** A job of a workspace that no other test knows. */
const newReconcile = (): ReconcileJob => ({ workspaceId: `workspace-${randomUUID()}` })

const reconcileOperation = <R>(
  { ledger, guard }: Worker,
  handler: (context: HandlerContext<ReconcileJob>) => R,
) =>
  ledger.systemJob<ReconcileJob, R>({
    type: TYPE,
    workspaceId: ({ workspaceId }) => workspaceId,
    runId: ({ operationRunId }) => operationRunId,
    guard,
    handler,
  })

describe.each(VARIANTS)('reconcile tracking ($name)', (variant) => {
  const database = useVariantDatabase(variant)
  const createWorker = useWorkers(database, variant)
  const workers: Worker[] = []
  const worker = (index: number) => {
    workers[index] ??= createWorker({ secrets: [SECRET] })
    return workers[index]
  }
  const here = () => worker(0)
  const elsewhere = () => worker(1)

  const runsOf = async ({ workspaceId }: ReconcileJob) => (await here().ledger.list({ workspaceId })).runs
  const run = async ({ workspaceId }: ReconcileJob, runId: string): Promise<Run> => {
    const found = await here().ledger.get({ workspaceId }, runId)
    if (found === null) throw new Error(`Run ${runId} is not there`)
    return found
  }
  const quick = (at: Worker) => {
    const executions: string[] = []
    const operation = reconcileOperation(at, ({ run: executing, counts }) => {
      executions.push(executing.id)
      counts.itemSucceeded(2)
    })
    return { operation, executions }
  }
  const beginHere = async (job: ReconcileJob, work: HeldWork<ReconcileJob>, id = 'job-1') =>
    begin(reconcileOperation(here(), work.handler), work, job, delivery(id))

  test('a success is a run of the workspace, with its counts', async () => {
    const job = newReconcile()
    const operation = reconcileOperation(here(), ({ counts }) => {
      counts.setTotal(4)
      counts.itemSucceeded(3)
      counts.itemFailed('adapter.run_vanished')
      return 'reconciled'
    })
    const verdict = executed(await operation(job, delivery('job-1')))
    expect(verdict.value).toBe('reconciled')
    const found = await run(job, verdict.run.id)
    expect(found).toMatchObject({
      type: TYPE,
      scope: { workspaceId: job.workspaceId, tenantId: null },
      status: 'completed',
      outcome: 'partially_succeeded',
      counts: { total: 4, processed: 4, failed: 1 },
      itemFailures: { 'adapter.run_vanished': 1 },
      canonicalRunId: null,
    })
    expect(verdict.run).toEqual(found)
    expect(await here().ledger.get({ ...job, tenantId: 'tenant-1' }, found.id)).toBeNull()
  })

  test('a failure has a code and a sanitized message, and its secret is nowhere in the database', async () => {
    const job = newReconcile()
    const error = new OperationError(
      'adapter.unreachable',
      `GET https://ops:${SECRET}@adapter.example/runs?api_key=${SECRET} failed, token: ${SECRET}`,
      {
        cause: Object.assign(new Error(`Authorization: Bearer ${SECRET}`), {
          detail: SECRET,
          config: { SECRET },
        }),
      },
    )
    const operation = reconcileOperation(here(), ({ counts }) => {
      counts.setTotal(9)
      counts.itemSucceeded(2)
      throw error
    })
    await expect(operation(job, delivery('job-1', 1, 2))).rejects.toBe(error)
    await expect(operation(job, delivery('job-1', 2, 2))).rejects.toBe(error)
    expect(error.message).toContain(SECRET)
    const [failed, ...others] = await runsOf(job)
    expect(others).toEqual([])
    expect(failed).toMatchObject({
      status: 'completed',
      outcome: 'failed',
      attempt: 2,
      counts: { total: 9, processed: 2, failed: 0 },
      reasonCode: 'adapter.unreachable',
      message: expect.stringContaining('adapter.example/runs'),
      pastAttempts: [
        { reasonCode: 'adapter.unreachable', message: expect.stringContaining('adapter.example/runs') },
      ],
    })
    expect(JSON.stringify(await contentsOf(database.pool()))).not.toContain(SECRET)
  })

  describe.each([
    ['in one process', here],
    ['in two processes', elsewhere],
  ])('overlapping %s', (_, other) => {
    test('the second execution is a skipped run that points to the run of the holder', async () => {
      const job = newReconcile()
      const work = heldWork<ReconcileJob>()
      const first = await beginHere(job, work)
      first.context.counts.itemSucceeded(5)
      const { run: holder } = first.context
      const again = quick(other())
      const refusal = refused(await again.operation(job, delivery('job-2')))
      expect(refusal).toMatchObject({
        reason: 'overlap',
        action: 'discard',
        holder: {
          runId: holder.id,
          attempt: 1,
          workerId: holder.workerId,
          deliveryId: 'job-1',
          since: holder.startedAt,
        },
      })
      const skipped = await run(job, refusal.run!.id)
      expect(refusal.run).toEqual(skipped)
      expect(skipped).toMatchObject({
        type: TYPE,
        status: 'completed',
        outcome: 'skipped',
        reasonCode: 'run.overlap',
        counts: { total: 0, processed: 0, failed: 0 },
        canonicalRunId: holder.id,
        delivery: { id: 'job-2' },
        scope: { workspaceId: job.workspaceId, tenantId: null },
      })
      expect(skipped.id).not.toBe(holder.id)
      first.finish()
      await first.verdict
      expect(again.executions).toEqual([])
      expect(await run(job, holder.id)).toMatchObject({ outcome: 'succeeded', counts: { total: 5 } })
      expect(await run(job, skipped.id)).toEqual(skipped)
      expect(await runsOf(job)).toHaveLength(2)
    })

    test.each([
      ['its own', () => randomUUID()],
      ["the holder's", (holderRunId: string) => holderRunId],
    ])('a second execution with %s run id is a skipped run as well', async (_name, pick) => {
      const job = newReconcile()
      const work = heldWork<ReconcileJob>()
      const first = await beginHere({ ...job, operationRunId: randomUUID() }, work)
      const holderRunId = first.context.run.id
      const operationRunId = pick(holderRunId)
      const again = quick(other())
      const refusal = refused(await again.operation({ ...job, operationRunId }, delivery('job-2')))
      expect(refusal).toMatchObject({ reason: 'overlap', action: 'discard', holder: { runId: holderRunId } })
      expect(refusal.run).toMatchObject({
        outcome: 'skipped',
        reasonCode: 'run.overlap',
        counts: { total: 0, processed: 0, failed: 0 },
        canonicalRunId: holderRunId,
      })
      expect(refusal.run!.id === operationRunId).toBe(operationRunId !== holderRunId)
      expect(await run(job, holderRunId)).toMatchObject({ status: 'running', attempt: 1 })
      first.finish()
      await first.verdict
      expect(again.executions).toEqual([])
      expect(await runsOf(job)).toHaveLength(2)
    })

    test('many that arrive together leave one execution and a skipped run for each of the others', async () => {
      const job = newReconcile()
      const work = heldWork<ReconcileJob>()
      const operations = [here(), other()].map((at) => reconcileOperation(at, work.handler))
      const answers = Array.from({ length: 8 }, (__, n) => operations[n % 2]!(job, delivery(`job-${n}`)))
      const execution = await work.next()
      const { refusals, last } = await allButOne(answers)
      execution.finish()
      const holderRunId = executed(await last).run.id
      for (const refusal of refusals) expect(refusal).toMatchObject({ reason: 'overlap', action: 'discard' })
      const runs = await runsOf(job)
      expect(runs).toHaveLength(8)
      const skipped = runs.filter(({ outcome }) => outcome === 'skipped')
      expect(skipped).toHaveLength(7)
      for (const { canonicalRunId } of skipped) expect(canonicalRunId).toBe(holderRunId)
      expect(work.executions).toHaveLength(1)
    })

    test('the same delivery again leaves no skipped run, and later runs', async () => {
      const job = newReconcile()
      const work = heldWork<ReconcileJob>()
      const first = await beginHere(job, work)
      const again = quick(other())
      const refusal = refused(await again.operation(job, delivery('job-1', 2)))
      expect(refusal).toMatchObject({
        reason: 'overlap',
        action: 'retry_later',
        holder: { runId: first.context.run.id },
      })
      expect(refusal.retryAfterMs).toBeGreaterThan(0)
      expect(await runsOf(job)).toHaveLength(1)
      first.fail(new Error('the adapter hung up'))
      await expect(first.verdict).rejects.toThrow('the adapter hung up')
      const { run: later } = executed(await again.operation(job, delivery('job-1', 2)))
      expect(later).toMatchObject({ id: first.context.run.id, attempt: 2, outcome: 'succeeded' })
      expect(await runsOf(job)).toHaveLength(1)
    })

    test('there is no cooldown: the next execution follows right after, as a run of its own', async () => {
      const job = newReconcile()
      const first = quick(here())
      const again = quick(other())
      const ids: string[] = []
      for (let n = 0; n < 4; n++) {
        const { operation } = n % 2 === 0 ? first : again
        ids.push(executed(await operation(job, delivery(`job-${n}`))).run.id)
      }
      expect(new Set(ids).size).toBe(4)
      expect((await runsOf(job)).map(({ id }) => id).sort()).toEqual(ids.sort())
      expect(refused(await again.operation(job, delivery('job-0', 2)))).toMatchObject({
        reason: 'already_terminal',
        action: 'discard',
      })
      expect(await runsOf(job)).toHaveLength(4)
    })

    test('a terminal failure has no cooldown either', async () => {
      const job = newReconcile()
      const failing = reconcileOperation(here(), () => {
        throw new OperationError('adapter.gone', 'The adapter is gone.', { permanent: true })
      })
      await expect(failing(job, delivery('job-1'))).rejects.toThrow('The adapter is gone.')
      const { run: next } = executed(await quick(other()).operation(job, delivery('job-2')))
      expect(next.outcome).toBe('succeeded')
      expect((await runsOf(job)).map(({ outcome }) => outcome)).toEqual(['succeeded', 'failed'])
    })

    test('two workspaces do not exclude each other', async () => {
      const job = newReconcile()
      const neighbour = newReconcile()
      const work = heldWork<ReconcileJob>()
      const first = await beginHere(job, work)
      expect((await quick(other()).operation(neighbour, delivery('job-1'))).executed).toBe(true)
      first.finish()
      await first.verdict
      expect(await runsOf(job)).toHaveLength(1)
      expect(await runsOf(neighbour)).toHaveLength(1)
    })

    test('the run that was opened at dispatch is the one that executes', async () => {
      const job = newReconcile()
      const opened = await quick(here()).operation.open(job)
      expect(opened).toMatchObject({ state: 'opened', run: { status: 'queued', type: TYPE } })
      const named = { ...job, operationRunId: opened.run.id }
      const { run: done } = executed(await quick(other()).operation(named, delivery('job-1')))
      expect(done).toMatchObject({ id: opened.run.id, attempt: 1, outcome: 'succeeded' })
      expect(await runsOf(job)).toHaveLength(1)
    })
  })

  describe('a tenant scope', () => {
    test('is refused instead of a workspace id, and writes nothing', async () => {
      const executions: unknown[] = []
      const { ledger, guard } = here()
      executed(await quick(here()).operation(newReconcile(), delivery('warm')))
      const before = await contentsOf(database.pool())
      const operation = ledger.systemJob({
        type: TYPE,
        // @ts-expect-error a scope is no workspace id
        workspaceId: () => ({ workspaceId: 'workspace-1', tenantId: 'tenant-1' }),
        guard,
        handler: () => executions.push('executed'),
      })
      await expect(operation({}, delivery('job-1'))).rejects.toThrow(InvalidOptionError)
      await expect(operation({}, delivery('job-1'))).rejects.toThrow('scope.workspaceId')
      expect(executions).toEqual([])
      expect(await contentsOf(database.pool())).toEqual(before)
    })

    test('is refused as an option, beside a workspace id or without', () => {
      const { ledger, guard } = here()
      const scope = () => ({ workspaceId: 'workspace-1', tenantId: 'tenant-1' })
      const withScope = { type: TYPE, workspaceId: () => 'workspace-1', scope, guard, handler: () => {} }
      expect(() => ledger.systemJob(withScope)).toThrow(InvalidOptionError)
      expect(() => ledger.systemJob(withScope)).toThrow(/^scope is /)
      const { workspaceId: _, ...instead } = withScope
      expect(() => ledger.systemJob(instead as unknown as SystemJobOptions<unknown, void>)).toThrow(
        InvalidOptionError,
      )
    })

    test("a run id of a tenant's run is refused, and writes nothing", async () => {
      const assignment = newJob()
      const fetched = await assignmentOperation(
        here(),
        'assignment.fetch',
        () => null,
      )(assignment, delivery('job-1'))
      const { operation, executions } = quick(here())
      executed(await operation(newReconcile(), delivery('warm')))
      const before = await contentsOf(database.pool())
      const job = { workspaceId: assignment.workspaceId, operationRunId: executed(fetched).run.id }
      await expect(operation(job, delivery('job-2'))).rejects.toThrow(ScopeMismatchError)
      await expect(operation.open(job)).rejects.toThrow(ScopeMismatchError)
      expect(await contentsOf(database.pool())).toEqual(before)
      expect(executions).toHaveLength(1)
    })
  })

  test.each([
    ['no guard', undefined],
    ['a guard that does not exclude', 'recording only'],
  ])('a system job with %s is refused where it is made, and the message says what to do', (_, guard) => {
    const { ledger } = here()
    const options = {
      type: TYPE,
      workspaceId: () => 'workspace-1',
      guard: guard && { ...here().guard, excludes: false },
      handler: () => {},
    } as SystemJobOptions<unknown, void>
    expect(() => ledger.systemJob(options)).toThrow(InvalidOptionError)
    expect(() => ledger.systemJob(options)).toThrow(/^guard is .*createGuard\(ledger\)/)
  })
})

describe.each(VARIANTS)('mutants that these tests notice ($name)', (variant) => {
  const database = useVariantDatabase(variant)
  const createWorker = useWorkers(database, variant)
  const withMutant = (functionName: string, replacements: readonly (readonly [string, string])[]) =>
    mutate(database.pool(), functionName, replacements)
  const overlap = async (secondDelivery: string) => {
    const at = createWorker()
    const job = newReconcile()
    const work = heldWork<ReconcileJob>()
    const operation = reconcileOperation(at, work.handler)
    const first = await begin(operation, work, job, delivery('job-1'))
    const second = reconcileOperation(createWorker(), work.handler)
    await second(job, delivery(secondDelivery))
    const { runs } = await at.ledger.list(job)
    first.finish()
    await first.verdict
    return runs.length
  }

  test('a skipped run that is left out', async () => {
    await withMutant('refused', [
      [`p_verdict = 'overlap' and v_discard and e.is_system`, `false and e.is_system`],
    ])
    expect(await overlap('job-2')).toBe(1)
  })

  test('a skipped run for a delivery that will come again', async () => {
    await withMutant('refused', [[`p_verdict = 'overlap' and v_discard and`, `p_verdict = 'overlap' and`]])
    expect(await overlap('job-1')).toBe(2)
  })
})
