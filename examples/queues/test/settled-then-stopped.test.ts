import { createLedger } from '@opsledger/core'
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { waitUntilBlocked } from '@opsledger/testing'
import { type Job, Queue, Worker } from 'bullmq'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { declareWork, type Payload, useHost } from './support/host.ts'

const redisUrl = process.env.OPSLEDGER_REDIS_URL

describe.skipIf(redisUrl === undefined)('BullMQ, when a worker shuts down', () => {
  const { database, createWorker, runsOf } = useHost()
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
  const find = async ({ id }: Job) => (await queue.getJob(id!))!

  it('completes a job whose handler had settled in its own transaction before it was stopped', async () => {
    const job = await queue.add('work', { key: name }, { attempts: 3 })
    const settled = Promise.withResolvers<void>()
    const { operation, ledger } = createWorker(async ({ run, signal }) => {
      await run.transaction(async () => {}, { settles: true })
      settled.resolve()
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
      })
    })
    const worker = new Worker(name, bullMqProcessor(operation), { connection })
    worker.on('error', () => {})
    await settled.promise
    const closed = worker.close()
    await ledger.close()
    await closed
    expect(await job.getState()).toBe('completed')
    const [run] = await runsOf(`${name}:${job.timestamp}:${job.id}`)
    expect(run).toMatchObject({ outcome: 'succeeded', attempt: 1 })
    expect((await find(job)).returnvalue).toEqual({ skipped: 'already_terminal', run: run!.id })
  })

  it('puts its first job off where the ledger closes before that has begun', async () => {
    const job = await queue.add('work', { key: name }, { attempts: 1 })
    const ledger = createLedger({ connection: database.url })
    let executions = 0
    const operation = declareWork(ledger, () => {
      executions++
    })
    const blocker = await database.pool().connect()
    try {
      await blocker.query('begin; lock table opsledger.core_migration in access exclusive mode')
      const worker = new Worker(name, bullMqProcessor(operation), { connection })
      worker.on('error', () => {})
      await waitUntilBlocked(database.pool(), { applicationName: 'opsledger work' })
      const stopped = worker.close()
      const closed = ledger.close({ withinMs: 0 })
      await blocker.query('rollback')
      await Promise.all([closed, stopped])
    } finally {
      blocker.release(true)
    }
    expect(await job.getState()).toBe('delayed')
    expect(await find(job)).toMatchObject({ attemptsMade: 0 })
    expect(executions).toBe(0)
  })
})
