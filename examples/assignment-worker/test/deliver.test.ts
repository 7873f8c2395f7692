import { setTimeout as sleep } from 'node:timers/promises'
import { createLedger, migrate, type Operation, OperationError } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { useDatabase } from '@opsledger/testing/vitest'
import { Kysely, PostgresDialect } from 'kysely'
import { type JobWithMetadata, PgBoss } from 'pg-boss'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { deliver } from '../src/deliver.ts'
import { postpone, type Queue } from '../src/postpone.ts'

interface Payload {
  readonly key: string
}

const database = useDatabase()
let queue: Queue
let name = ''

beforeAll(async () => {
  await migrate({ connection: database.url, with: [migrations] })
  const boss = new PgBoss({ connectionString: database.url, supervise: false, schedule: false })
  boss.on('error', () => {})
  await boss.start()
  queue = { boss, db: new Kysely({ dialect: new PostgresDialect({ pool: database.pool() }) }) }
})
afterAll(() => queue.boss.stop({ graceful: false }))

beforeEach(async () => {
  name = `queue-${crypto.randomUUID()}`
  await queue.boss.createQueue(name)
})

/** As another worker process has it: with a ledger and a guard of its own. */
function createWorker(handler: (signal: AbortSignal) => Promise<void>) {
  const ledger = createLedger({ pool: database.pool() })
  onTestFinished(() => ledger.close({ withinMs: 500 }))
  const operation = ledger.operation({
    type: 'test.work',
    scope: (_: Payload) => ({ workspaceId: 'w' }),
    fingerprint: ({ key }: Payload) => key,
    guard: createGuard(ledger),
    handler: ({ signal }) => handler(signal),
  })
  return { ledger, operation }
}

async function send(retryLimit: number): Promise<{ id: string; payload: Payload }> {
  const payload = { key: name }
  return { id: (await queue.boss.send(name, payload, { retryLimit }))!, payload }
}

/** Takes one job and no more; resolves when pg-boss has settled it. */
async function workOnce(operation: Operation<Payload, void>): Promise<void> {
  const { promise: taken, resolve: take } = Promise.withResolvers<void>()
  const options = { includeMetadata: true, perJobResults: true, pollingIntervalSeconds: 0.5 } as const
  await queue.boss.work(name, options, (jobs: JobWithMetadata<Payload>[]) => {
    take()
    return deliver(queue, operation)(jobs)
  })
  await taken
  await queue.boss.offWork(name)
}

async function find(id: string): Promise<JobWithMetadata<Payload>> {
  const [job] = await queue.boss.findJobs<Payload>(name, { id })
  return job!
}

/** How many attempts would follow if the next one failed. */
async function attemptsAfterNext(id: string): Promise<number> {
  await queue.boss.update(name, undefined, { id, startAfter: 0 })
  const [job] = await queue.boss.fetch<Payload>(name, { includeMetadata: true })
  expect(job!.id).toBe(id)
  return job!.retryLimit - job!.retryCount
}

describe('deliver', () => {
  test.each([
    ['the first attempt of three', 2],
    ['the only attempt', 0],
  ])('a delivery to be made again later loses no attempt: %s', async (_, retryLimit) => {
    const { id, payload } = await send(retryLimit)
    const started = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const holder = createWorker(async () => {
      started.resolve()
      await released.promise
    })
    const held = holder.operation(payload, { id, attempt: 1, maxAttempts: retryLimit + 1 })
    await started.promise
    const executions: string[] = []
    await workOnce(createWorker(async () => void executions.push(id)).operation)

    const job = await find(id)
    expect(executions).toEqual([])
    expect(job.state).toBe('created')
    expect(job.startAfter.getTime()).toBeGreaterThan(job.startedOn.getTime() + 1_000)
    expect(await attemptsAfterNext(id)).toBe(retryLimit)
    released.resolve()
    await held
  })

  test('a permanent failure ends the job whatever attempts are left', async () => {
    const { id } = await send(2)
    const worker = createWorker(async () => {
      throw new OperationError('host.no_use', 'no use', { permanent: true })
    })
    await workOnce(worker.operation)
    const { state, retryCount, output } = await find(id)
    expect({ state, retryCount, output }).toMatchObject({
      state: 'failed',
      retryCount: 0,
      output: { reasonCode: 'host.no_use', message: 'no use' },
    })
  })

  test('any other failure is retried at once, and the queue keeps nothing of the error but its description', async () => {
    const { id } = await send(2)
    let attempts = 0
    const worker = createWorker(async () => {
      attempts++
      if (attempts === 1) throw Object.assign(new Error('busy'), { status: 503, config: { key: 'hunter2' } })
    })
    await workOnce(worker.operation)
    const failed = await find(id)
    expect(failed.state).toBe('retry')
    expect(failed.output).toEqual({
      run: expect.any(String),
      reasonCode: 'provider.unavailable',
      message: expect.stringContaining('busy'),
    })
    await workOnce(worker.operation)
    expect((await find(id)).state).toBe('completed')
    expect(attempts).toBe(2)
  })

  test('a worker that shuts down hands its job back, even on the only attempt', async () => {
    const { id } = await send(0)
    const started = Promise.withResolvers<void>()
    const worker = createWorker(async (signal) => {
      started.resolve()
      await sleep(60_000, undefined, { signal })
    })
    const worked = workOnce(worker.operation)
    await started.promise
    await worker.ledger.close()
    await worked
    expect((await find(id)).state).toBe('created')
    let executions = 0
    await workOnce(createWorker(async () => void executions++).operation)
    expect((await find(id)).state).toBe('completed')
    expect(executions).toBe(1)
  })
})

describe('postpone', () => {
  test('leaves a job alone that pg-boss has given to somebody else', async () => {
    const { id } = await send(2)
    const [stale] = await queue.boss.fetch<Payload>(name, { includeMetadata: true })
    await queue.boss.fail(name, id)
    const [current] = await queue.boss.fetch<Payload>(name, { includeMetadata: true })
    expect([stale!.retryCount, current!.retryCount]).toEqual([0, 1])
    await postpone(queue, stale!, 60_000)
    expect(await find(id)).toMatchObject({ state: 'active', retryCount: 1, retryLimit: 2 })
  })

  test('does not bring back a job that an operator cancelled', async () => {
    const { id } = await send(2)
    const [job] = await queue.boss.fetch<Payload>(name, { includeMetadata: true })
    await queue.boss.cancel(name, id)
    await postpone(queue, job!, 0)
    expect((await find(id)).state).toBe('cancelled')
  })
})
