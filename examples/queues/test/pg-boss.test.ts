import { setTimeout as sleep } from 'node:timers/promises'
import { OperationError } from '@opsledger/core'
import { pgBossHandler, postponePgBossJob } from '@opsledger/core/pg-boss'
import { type JobWithMetadata, PgBoss } from 'pg-boss'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Payload, type TestWorker, useHost } from './support/host.ts'

const { database, createWorker, hold, runsOf, cooldownOf } = useHost()
let boss: PgBoss
let name = ''

beforeAll(async () => {
  boss = new PgBoss({ connectionString: database.url, supervise: false, schedule: false })
  boss.on('error', () => {})
  await boss.start()
})
afterAll(() => boss.stop({ graceful: false }))

beforeEach(async () => {
  name = `queue-${crypto.randomUUID()}`
  await boss.createQueue(name)
})

const send = async (retryLimit: number): Promise<string> =>
  (await boss.send(name, { key: name }, { retryLimit }))!

const find = async (id: string) => (await boss.findJobs<Payload>(name, { id }))[0]!

/** Takes one job and no more; resolves when pg-boss has settled it. */
async function workOnce({ operation }: TestWorker): Promise<void> {
  const { promise: taken, resolve: take } = Promise.withResolvers<void>()
  const options = { includeMetadata: true, perJobResults: true, pollingIntervalSeconds: 0.5 } as const
  const handle = pgBossHandler(boss, operation)
  await boss.work(name, options, (jobs: JobWithMetadata<Payload>[]) => {
    take()
    return handle(jobs)
  })
  await taken
  await boss.offWork(name)
}

test('a job executes and completes', async () => {
  const id = await send(2)
  await workOnce(createWorker())
  const [run] = await runsOf(id)
  expect(run).toMatchObject({ outcome: 'succeeded', delivery: { id, attempt: 1, maxAttempts: 3 } })
  expect(await find(id)).toMatchObject({ state: 'completed', output: { run: run!.id } })
})

test('a retry is admitted at once, and the queue keeps nothing of the error but its description', async () => {
  const id = await send(2)
  const worker = createWorker(({ run }) => {
    if (run.attempt === 1) throw Object.assign(new Error('busy'), { status: 503, config: { key: 'hunter2' } })
  })
  await workOnce(worker)
  const failed = await find(id)
  const [run] = await runsOf(id)
  expect(failed).toMatchObject({ state: 'retry', retryCount: 0 })
  expect(failed.output).toEqual({
    run: run!.id,
    reasonCode: 'provider.unavailable',
    message: expect.stringContaining('busy'),
  })
  expect(await cooldownOf(run!.id)).toBeNull()
  await workOnce(worker)
  expect(worker.executions()).toBe(2)
  expect(await find(id)).toMatchObject({ state: 'completed', output: { run: run!.id } })
})

test('the last attempt starts the cooldown, in which another job of the same work is acknowledged', async () => {
  const id = await send(0)
  const worker = createWorker(() => {
    throw new Error('busy')
  })
  await workOnce(worker)
  const [run] = await runsOf(id)
  expect(await find(id)).toMatchObject({ state: 'failed' })
  expect(await cooldownOf(run!.id)).toBeInstanceOf(Date)
  const next = await send(0)
  await workOnce(worker)
  expect(worker.executions()).toBe(1)
  expect(await find(next)).toMatchObject({
    state: 'completed',
    output: { skipped: 'cooldown', run: run!.id },
  })
})

test.each([
  ['the first attempt of three', 2],
  ['the only attempt', 0],
])('a delivery to be made again later spends no attempt: %s', async (_, retryLimit) => {
  const id = await send(retryLimit)
  const held = await hold({ key: name }, id)
  const worker = createWorker()
  await workOnce(worker)
  const job = await find(id)
  expect(worker.executions()).toBe(0)
  expect(job.state).toBe('created')
  expect(job.startAfter.getTime()).toBeGreaterThan(job.startedOn.getTime() + 1_000)
  await boss.update(name, undefined, { id, startAfter: 0 })
  const [again] = await boss.fetch<Payload>(name, { includeMetadata: true })
  expect(again!.retryLimit - again!.retryCount).toBe(retryLimit)
  await held.release()
})

test('a permanent failure ends the job whatever attempts are left', async () => {
  const id = await send(2)
  const worker = createWorker(() => {
    throw new OperationError('host.no_use', 'no use', { permanent: true })
  })
  await workOnce(worker)
  expect(await find(id)).toMatchObject({
    state: 'failed',
    retryCount: 0,
    output: { reasonCode: 'host.no_use', message: 'no use' },
  })
})

test('a worker that shuts down hands its job back, even on the only attempt', async () => {
  const id = await send(0)
  const started = Promise.withResolvers<void>()
  const worker = createWorker(({ signal }) => {
    started.resolve()
    return sleep(60_000, undefined, { signal })
  })
  const worked = workOnce(worker)
  await started.promise
  await worker.ledger.close()
  await worked
  expect((await find(id)).state).toBe('created')
  const next = createWorker()
  await workOnce(next)
  expect(next.executions()).toBe(1)
  expect((await find(id)).state).toBe('completed')
})

test('a job that arrives after its ledger was closed spends no attempt', async () => {
  const id = await send(0)
  const worker = createWorker()
  await worker.ledger.close()
  await workOnce(worker)
  expect((await find(id)).state).toBe('created')
})

test("pg-boss's own signal reaches the handler", async () => {
  const id = await send(0)
  const [job] = await boss.fetch<Payload>(name, { includeMetadata: true })
  const controller = new AbortController()
  const worker = createWorker(({ signal }) => {
    controller.abort(new Error('expired'))
    signal.throwIfAborted()
  })
  const results = await pgBossHandler(boss, worker.operation)([{ ...job!, signal: controller.signal }])
  expect(results).toMatchObject([
    { id, status: 'deadletter', output: { message: expect.stringContaining('expired') } },
  ])
})

test('of a batch, only the delivery that could not begin fails', async () => {
  const ids = [await send(0), await send(0)]
  await boss.update(name, { key: 'other' }, { id: ids[0]! })
  const jobs = await boss.fetch<Payload>(name, { includeMetadata: true, batchSize: 2 })
  jobs.forEach((job) => {
    job.signal = new AbortController().signal
  })
  const bad = { ...jobs[0]!, data: { key: undefined as unknown as string } }
  const results = await pgBossHandler(boss, createWorker().operation)([bad, jobs[1]!])
  expect(results.map(({ status }) => status)).toEqual(['failed', 'completed'])
})

test('a job that pg-boss has given to somebody else, or that an operator cancelled, is not put back', async () => {
  const id = await send(2)
  const [stale] = await boss.fetch<Payload>(name, { includeMetadata: true })
  await boss.fail(name, id)
  const [current] = await boss.fetch<Payload>(name, { includeMetadata: true })
  await postponePgBossJob(boss, stale!, 60_000)
  expect(await find(id)).toMatchObject({ state: 'active', retryCount: 1, retryLimit: 2 })
  await boss.cancel(name, id)
  await postponePgBossJob(boss, current!, 0)
  expect((await find(id)).state).toBe('cancelled')
})
