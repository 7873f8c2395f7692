import { setTimeout as sleep } from 'node:timers/promises'
import { OperationError } from '@opsledger/core'
import { graphileWorkerTask } from '@opsledger/core/graphile-worker'
import { eventually, waitUntilBlocked } from '@opsledger/testing'
import {
  type DbJob,
  type Job,
  type JobHelpers,
  Logger,
  makeWorkerUtils,
  run,
  runOnce,
  type WorkerUtils,
} from 'graphile-worker'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type TestWorker, useHost } from './support/host.ts'

const { database, createWorker, hold, runsOf, cooldownOf } = useHost()
const logger = new Logger(() => () => {})
let utils: WorkerUtils
/** Outlives its runners: one of their own is closed before the last failure is written. */
let pool: ReturnType<typeof database.pool>
let name = ''

beforeAll(async () => {
  pool = database.pool({ max: 4 })
  pool.on('connect', (client) => client.on('error', () => {}))
  utils = await makeWorkerUtils({ connectionString: database.url, logger })
  await utils.migrate()
})
afterAll(() => utils.release())
beforeEach(() => {
  name = `task-${crypto.randomUUID()}`
})

const add = (maxAttempts: number, spec: { queueName?: string } = {}): Promise<Job> =>
  utils.addJob(name, { key: name }, { maxAttempts, ...spec })
const deliveryOf = ({ id, created_at, revision }: Job) =>
  `graphile-worker:${created_at.getTime()}:${id}:${revision}`

/** When graphile-worker has written what became of it, which nothing announces; null once it is completed. */
const find = ({ id }: Job): Promise<DbJob | null> =>
  eventually(async () => {
    const { rows } = await database
      .pool()
      .query('select * from graphile_worker._private_jobs where id = $1', [id])
    if (rows[0]?.locked_by) throw new Error(`job ${id} is still locked`)
    return rows[0] ?? null
  })

/** Executes what is due, each job once unless it is due again. */
const workOnce = ({ operation }: TestWorker): Promise<void> =>
  runOnce({
    pgPool: pool,
    logger,
    noHandleSignals: true,
    taskList: { [name]: graphileWorkerTask(operation) },
  })

const makeDue = ({ id }: Job) => utils.rescheduleJobs([id], { runAt: new Date(0) })

test('a job executes and completes', async () => {
  const job = await add(3)
  await workOnce(createWorker())
  expect(await find(job)).toBeNull()
  expect(await runsOf(deliveryOf(job))).toMatchObject([
    { outcome: 'succeeded', delivery: { attempt: 1, maxAttempts: 3 } },
  ])
})

test('a retry is admitted at once, and the queue keeps nothing of the error but its description', async () => {
  const job = await add(3)
  const worker = createWorker(({ run }) => {
    if (run.attempt === 1) throw new Error('failed for postgres://u:hunter2@host/db')
  })
  await workOnce(worker)
  const failed = await find(job)
  const [run] = await runsOf(deliveryOf(job))
  expect(failed).toMatchObject({ attempts: 1, last_error: run!.message })
  expect(failed!.last_error).not.toContain('hunter2')
  expect(await cooldownOf(run!.id)).toBeNull()
  await makeDue(job)
  await workOnce(worker)
  expect(worker.executions()).toBe(2)
  expect(await find(job)).toBeNull()
})

test('the last attempt starts the cooldown, in which another job of the same work is acknowledged', async () => {
  const job = await add(1)
  const worker = createWorker(() => {
    throw new Error('busy')
  })
  await workOnce(worker)
  const [run] = await runsOf(deliveryOf(job))
  expect(await find(job)).toMatchObject({ is_available: false, attempts: 1 })
  expect(await cooldownOf(run!.id)).toBeInstanceOf(Date)
  const next = await add(1)
  await workOnce(worker)
  expect(worker.executions()).toBe(1)
  expect(await find(next)).toBeNull()
})

test.each([
  ['the first attempt of three', 3, {}],
  ['the only attempt', 1, {}],
  ['in a named queue, which is freed', 1, { queueName: 'serial' }],
])('a delivery to be made again later spends no attempt: %s', async (_, maxAttempts, spec) => {
  const job = await add(maxAttempts, spec)
  const held = await hold({ key: name }, deliveryOf(job))
  const worker = createWorker()
  await workOnce(worker)
  expect(worker.executions()).toBe(0)
  const postponed = await find(job)
  expect(postponed).toMatchObject({ attempts: 0, last_error: null, is_available: true })
  expect(postponed!.run_at.getTime()).toBeGreaterThan(job.run_at.getTime() + 1_000)
  await held.release()
  await makeDue(job)
  await workOnce(worker)
  expect(worker.executions()).toBe(0)
  expect(await find(job)).toBeNull()
})

test('a permanent failure ends the job whatever attempts are left', async () => {
  const job = await add(3)
  const worker = createWorker(() => {
    throw new OperationError('host.no_use', 'no use', { permanent: true })
  })
  await workOnce(worker)
  expect(await find(job)).toMatchObject({
    attempts: 3,
    max_attempts: 3,
    is_available: false,
    last_error: 'no use',
  })
})

test('a worker that shuts down hands its job back, even on the only attempt', async () => {
  const job = await add(1)
  const started = Promise.withResolvers<void>()
  const worker = createWorker(({ signal }) => {
    started.resolve()
    return sleep(60_000, undefined, { signal })
  })
  const taskList = { [name]: graphileWorkerTask(worker.operation) }
  const runner = await run({ connectionString: database.url, logger, noHandleSignals: true, taskList })
  await started.promise
  const stopped = runner.stop()
  await worker.ledger.close()
  await stopped
  expect(await find(job)).toMatchObject({ attempts: 0, locked_by: null })
  const next = createWorker()
  await makeDue(job)
  await workOnce(next)
  expect(next.executions()).toBe(1)
  expect(await find(job)).toBeNull()
})

test("graphile-worker's own signal reaches the handler", async () => {
  const job = await add(2)
  const started = Promise.withResolvers<void>()
  const worker = createWorker(({ signal }) => {
    started.resolve()
    return sleep(60_000, undefined, { signal })
  })
  const taskList = { [name]: graphileWorkerTask(worker.operation) }
  const options = {
    connectionString: database.url,
    logger,
    noHandleSignals: true,
    gracefulShutdownAbortTimeout: 10,
  }
  const runner = await run({ ...options, taskList })
  await started.promise
  await runner.stop()
  expect(await runsOf(deliveryOf(job))).toMatchObject([{ status: 'retrying', attempt: 1 }])
})

test('a failed job that its key replaced is another delivery', async () => {
  const spec = { maxAttempts: 3, jobKey: name }
  const first = await utils.addJob(name, { key: name }, spec)
  const worker = createWorker(() => {
    throw new OperationError('host.no_use', 'no use', { permanent: true })
  })
  await workOnce(worker)
  await find(first)
  await database
    .pool()
    .query('update graphile_worker._private_jobs set attempts = 1 where id = $1', [first.id])
  const second = await utils.addJob(name, { key: name }, spec)
  expect(second).toMatchObject({ id: first.id, attempts: 0 })
  await database
    .pool()
    .query(
      `update opsledger.job_claim set cooldown_until = clock_timestamp() where cooldown_until is not null`,
    )
  const next = createWorker()
  await workOnce(next)
  expect(await find(second)).toBeNull()
  expect(next.executions()).toBe(1)
  expect(await runsOf(deliveryOf(second))).toHaveLength(1)
  expect(deliveryOf(second)).not.toBe(deliveryOf(first))
})

test.each([
  ['a postponement', true, { attempts: 0, last_error: null, is_available: true }],
  ['the end of a job', false, { attempts: 3, last_error: 'no use', is_available: false }],
])('%s whose connection is cut is written again', async (_, isPostponed, expected) => {
  const job = await add(3)
  const worker = createWorker(() => {
    throw new OperationError('host.no_use', 'no use', { permanent: true })
  })
  if (isPostponed) await worker.ledger.close()
  const task = graphileWorkerTask(worker.operation)
  const locker = await database.pool().connect()
  const taskList = {
    [name]: async (payload: unknown, helpers: JobHelpers) => {
      await locker.query('begin')
      await locker.query('select from graphile_worker._private_jobs where id = $1 for update', [job.id])
      await task(payload, helpers)
    },
  }
  const ran = runOnce({ pgPool: pool, logger, noHandleSignals: true, taskList })
  const [blocked] = await waitUntilBlocked(database.pool())
  await locker.query('select pg_terminate_backend($1)', [blocked!.pid])
  await locker.query('rollback')
  locker.release()
  await ran
  expect(await find(job)).toMatchObject(expected)
})

test("a failure is told as the ledger's, also when the end of the job cannot be written", async () => {
  const job = await add(3)
  const worker = createWorker(() => {
    throw new OperationError('host.no_use', 'no use', { permanent: true })
  })
  const task = graphileWorkerTask(worker.operation)
  const query = () => Promise.reject(new Error('the database is away'))
  const taskList = {
    [name]: (payload: unknown, { job, abortSignal }: JobHelpers) =>
      task(payload, { job, abortSignal, query }),
  }
  await runOnce({ pgPool: pool, logger, noHandleSignals: true, taskList })
  expect(await find(job)).toMatchObject({ attempts: 1, last_error: 'no use' })
  await makeDue(job)
  await workOnce(worker)
  expect(worker.executions()).toBe(1)
  expect(await find(job)).toBeNull()
})
