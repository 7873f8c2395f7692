import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperationError } from '@opsledger/core'
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { eventually } from '@opsledger/testing'
import { startWorker } from '@opsledger/testing/vitest'
import { type Job, Queue, Worker, type WorkerOptions } from 'bullmq'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Payload, type TestWorker, useHost } from './support/host.ts'

const redisUrl = process.env.OPSLEDGER_REDIS_URL
if (redisUrl === undefined) {
  console.warn('BullMQ is not tested: OPSLEDGER_REDIS_URL, the URL of a Redis, is not set')
}

describe.skipIf(redisUrl === undefined)('BullMQ', () => {
  const { database, createWorker, hold, runsOf, cooldownOf } = useHost()
  const connection = { url: redisUrl! }
  let queue: Queue<Payload>
  let name = ''

  beforeEach(() => {
    name = `opsledger-test-${crypto.randomUUID()}`
    queue = new Queue(name, { connection })
  })
  afterEach(async () => {
    await queue.obliterate({ force: true })
    await queue.close()
  })

  const add = (attempts?: number): Promise<Job<Payload>> => queue.add('work', { key: name }, { attempts })
  const deliveryOf = (job: Job) => `${name}:${job.timestamp}:${job.id}`
  const find = async ({ id }: Job) => (await queue.getJob(id!))!

  /** @returns when the job has come to this state; the worker ends with the test, or when it is closed */
  function work({ operation }: TestWorker, options: Partial<WorkerOptions> = {}) {
    const worker = new Worker(name, bullMqProcessor(operation), { connection, ...options })
    worker.on('error', () => {})
    onTestFinished(() => worker.close())
    return worker
  }
  const untilState = (job: Job, state: string) =>
    eventually(async () => expect(await job.getState()).toBe(state))

  test('a job executes and completes', async () => {
    const job = await add(3)
    work(createWorker())
    await untilState(job, 'completed')
    const [run] = await runsOf(deliveryOf(job))
    expect(run).toMatchObject({ outcome: 'succeeded', delivery: { attempt: 1, maxAttempts: 3 } })
    expect((await find(job)).returnvalue).toEqual({ run: run!.id, value: `done ${name}` })
  })

  test('a retry is admitted at once, and the queue keeps nothing of the error but its description', async () => {
    const job = await add(3)
    const worker = createWorker(({ run }) => {
      if (run.attempt === 1) throw new Error('failed for postgres://u:hunter2@host/db')
    })
    const failures: Error[] = []
    work(worker).on('failed', (_, error) => failures.push(error))
    await untilState(job, 'completed')
    expect(worker.executions()).toBe(2)
    expect(await find(job)).toMatchObject({ attemptsMade: 2 })
    expect(JSON.stringify((await find(job)).stacktrace)).not.toContain('hunter2')
    expect(failures).toMatchObject([
      { name: 'JobFailedError', cause: { message: expect.stringContaining('hunter2') } },
    ])
    expect(failures[0]!.message).not.toContain('hunter2')
    expect(await runsOf(deliveryOf(job))).toMatchObject([{ attempt: 2, pastAttempts: [{ attempt: 1 }] }])
  })

  test.each([
    ['its last attempt', 2],
    ['the only attempt it has when nothing is said', undefined],
  ])('%s starts the cooldown, in which another job of the same work is acknowledged', async (_, attempts) => {
    const job = await add(attempts)
    const worker = createWorker(() => {
      throw new Error('busy')
    })
    work(worker)
    await untilState(job, 'failed')
    const [run] = await runsOf(deliveryOf(job))
    expect(run).toMatchObject({ outcome: 'failed', delivery: { maxAttempts: attempts ?? 1 } })
    expect(await cooldownOf(run!.id)).toBeInstanceOf(Date)
    const next = await add(attempts)
    await untilState(next, 'completed')
    expect(worker.executions()).toBe(attempts ?? 1)
    expect((await find(next)).returnvalue).toEqual({ skipped: 'cooldown', run: run!.id })
  })

  test.each([
    ['the first attempt of three', 3],
    ['the only attempt', 1],
  ])('a delivery to be made again later spends no attempt: %s', async (_, attempts) => {
    const job = await add(attempts)
    const held = await hold({ key: name }, deliveryOf(job))
    const worker = createWorker()
    const events: Error[] = []
    work(worker)
      .on('error', (error) => events.push(error))
      .on('failed', (_, error) => events.push(error))
    await untilState(job, 'delayed')
    const postponed = await find(job)
    expect(postponed.attemptsMade).toBe(0)
    expect(postponed.delay).toBeGreaterThan(1_000)
    await held.release()
    await postponed.promote()
    await untilState(job, 'completed')
    expect((await find(job)).returnvalue).toMatchObject({ skipped: 'already_terminal' })
    expect(worker.executions()).toBe(0)
    expect(events).toEqual([])
  })

  test('a permanent failure ends the job whatever attempts are left', async () => {
    const job = await add(3)
    const worker = createWorker(() => {
      throw new OperationError('host.no_use', 'no use', { permanent: true })
    })
    work(worker)
    await untilState(job, 'failed')
    expect(await find(job)).toMatchObject({ attemptsMade: 1, failedReason: 'no use' })
    expect(worker.executions()).toBe(1)
  })

  test('a worker that shuts down hands its job back, even on the only attempt', async () => {
    const job = await add(1)
    const started = Promise.withResolvers<void>()
    const worker = createWorker(({ signal }) => {
      started.resolve()
      return sleep(60_000, undefined, { signal })
    })
    const first = work(worker)
    await started.promise
    const closed = first.close()
    await worker.ledger.close()
    await closed
    expect(await find(job)).toMatchObject({ attemptsMade: 0 })
    const next = createWorker()
    work(next)
    await untilState(job, 'completed')
    expect(next.executions()).toBe(1)
  })

  test('a job that arrives after its ledger was closed spends no attempt', async () => {
    const job = await add(1)
    const worker = createWorker()
    await worker.ledger.close()
    await work(worker).waitUntilReady()
    await untilState(job, 'delayed')
    expect(await find(job)).toMatchObject({ attemptsMade: 0 })
  })

  test("BullMQ's own signal reaches the handler", async () => {
    const job = await add(1)
    const started = Promise.withResolvers<void>()
    const worker = createWorker(({ signal }) => {
      started.resolve()
      return sleep(60_000, undefined, { signal })
    })
    const running = work(worker)
    await started.promise
    expect(running.cancelJob(job.id!, 'an operator said so')).toBe(true)
    await untilState(job, 'failed')
    expect(await runsOf(deliveryOf(job))).toMatchObject([{ outcome: 'failed' }])
  })

  describe('a worker blocks its event loop until BullMQ declares its job stalled and delivers it again', () => {
    async function stall() {
      const job = await add(1)
      const file = join(tmpdir(), name)
      const blocked = startWorker(new URL('./support/blocked-worker.ts', import.meta.url), {
        args: [database.url, redisUrl!, name, file],
      })
      await blocked.next((message) => message === 'blocked')
      const second = createWorker()
      const stalled: string[] = []
      work(second, { stalledInterval: 200 }).on('stalled', (id) => stalled.push(id))
      await untilState(job, 'delayed')
      expect(stalled).toEqual([job.id])
      expect(second.executions()).toBe(0)
      return { job, file, blocked, second }
    }

    test('the second execution is refused, and acknowledged once the first has ended', async () => {
      const { job, file, blocked, second } = await stall()
      await writeFile(file, '')
      await eventually(async () =>
        expect(await runsOf(deliveryOf(job))).toMatchObject([{ outcome: 'succeeded', attempt: 1 }]),
      )
      await blocked.next<string>((message) => message.startsWith('error:'))
      await (await find(job)).promote()
      await untilState(job, 'completed')
      expect((await find(job)).returnvalue).toMatchObject({ skipped: 'already_terminal' })
      expect(second.executions()).toBe(0)
    })

    test('the job is not lost when the first execution dies: the delivery after it executes', async () => {
      const { job, blocked, second } = await stall()
      await blocked.kill()
      await database
        .pool()
        .query('update opsledger.worker_lease set expires_at = started_at where pid = $1', [blocked.pid])
      await eventually(async () => {
        await (await find(job)).promote().catch(() => {})
        expect(await job.getState()).toBe('completed')
      })
      expect(second.executions()).toBe(1)
      expect(await runsOf(deliveryOf(job))).toMatchObject([{ outcome: 'succeeded', attempt: 2 }])
    })
  })
})
