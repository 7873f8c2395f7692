import { setTimeout as sleep } from 'node:timers/promises'
import { OperationError } from '@opsledger/core'
import { type PgBossQueue, pgBossHandler, postponePgBossJob } from '@opsledger/core/pg-boss'
import { waitUntilBlocked } from '@opsledger/testing'
import { type JobWithMetadata, PgBoss } from 'pg-boss'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
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
async function workOnce({ operation }: TestWorker, whenTaken = async () => {}): Promise<void> {
  const { promise: taken, resolve: take } = Promise.withResolvers<void>()
  const options = { includeMetadata: true, perJobResults: true, pollingIntervalSeconds: 0.5 } as const
  const handle = pgBossHandler(boss, operation)
  await boss.work(name, options, async (jobs: JobWithMetadata<Payload>[]) => {
    take()
    await whenTaken()
    return handle(jobs)
  })
  await taken
  await boss.offWork(name)
}

/** Taken by hand, so that the test says when it is handled; pg-boss hears no answer. */
async function fetchOne(): Promise<JobWithMetadata<Payload>> {
  const [job] = await boss.fetch<Payload>(name, { includeMetadata: true })
  return Object.assign(job!, { signal: new AbortController().signal })
}

/** Puts an active job back for as long. */
const postpone = (job: JobWithMetadata<Payload>, delayMs: number): Promise<void> =>
  postponePgBossJob(boss, job, delayMs)

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
  expect(job.state).toBe('retry')
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
  expect((await find(id)).state).toBe('retry')
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
  expect((await find(id)).state).toBe('retry')
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

/** Of one key throughout: without a key, all jobs of a queue have the empty one. */
const sendKeyed = (key: string, retryLimit = 0): Promise<string | null> =>
  boss.send(name, { key: `${name} ${key}` }, { retryLimit, singletonKey: 'one' })

describe.each([
  ['standard', 2],
  ['short', 2],
  ['singleton', 2],
  ['stately', 2],
  ['exclusive', 1], // refuses the second while it has the first
  ['key_strict_fifo', 2],
] as const)('on a queue of policy %s', (policy, jobs) => {
  beforeEach(async () => {
    name = `queue-${crypto.randomUUID()}`
    await boss.createQueue(name, { policy })
  })

  test('a job put back beside one that waits comes back on its only attempt, and each executes once', async () => {
    const first = (await sendKeyed('first'))!
    let second: string | null = null
    const stopping = createWorker()
    await stopping.ledger.close()
    await workOnce(stopping, async () => {
      second = await sendKeyed('second')
    })
    expect(await find(first)).toMatchObject({ state: 'retry', retryCount: 0, retryLimit: 1 })
    expect(second === null ? 1 : 2).toBe(jobs)
    await boss.update(name, undefined, { id: first, startAfter: 0 })

    const executed: string[] = []
    const next = createWorker(({ payload }) => {
      executed.push(payload.key)
    })
    for (let left: number = jobs; left > 0; left--) await workOnce(next)
    expect(executed).toEqual(['first', 'second'].slice(0, jobs).map((key) => `${name} ${key}`))
    for (const id of [first, second]) {
      if (id !== null) expect(await find(id)).toMatchObject({ state: 'completed', policy })
    }
    expect((await runsOf(first))[0]).toMatchObject({
      outcome: 'succeeded',
      delivery: { attempt: 2, maxAttempts: 2 },
    })
  })

  test('a job put back again and again has as many attempts left as before', async () => {
    const id = (await sendKeyed('first', 1))!
    for (let round = 1; round <= 3; round++) {
      await postpone(await fetchOne(), 0)
      expect(await find(id)).toMatchObject({ state: 'retry', retryCount: round - 1, retryLimit: 1 + round })
    }
    const last = await fetchOne()
    expect(last.retryLimit - last.retryCount).toBe(1)
  })
})

test('a job put back keeps its place in a strict order', async () => {
  name = `queue-${crypto.randomUUID()}`
  await boss.createQueue(name, { policy: 'key_strict_fifo' })
  await sendKeyed('first')
  await sendKeyed('second')
  await postpone(await fetchOne(), 60_000)
  expect(await boss.fetch(name)).toEqual([])
})

test('a job put back is kept as long as it would have been from when it is due', async () => {
  const id = (await boss.send(name, { key: name }, { retentionSeconds: 10 }))!
  await postpone(await fetchOne(), 60_000)
  const { startAfter, keepUntil } = await find(id)
  expect(keepUntil.getTime() - startAfter.getTime()).toBe(10_000)
})

describe('on a stately queue, a job put back', () => {
  beforeEach(async () => {
    name = `queue-${crypto.randomUUID()}`
    await boss.createQueue(name, { policy: 'stately' })
  })

  test('has room beside a retry and one that waits', async () => {
    const first = (await sendKeyed('first'))!
    const job = await fetchOne()
    const { rowCount } = await database
      .pool()
      .query(
        `insert into pgboss.job (name, data, state, policy, singleton_key) values ($1, '{}', 'retry', 'stately', 'one')`,
        [name],
      )
    expect([rowCount, await sendKeyed('third')]).toEqual([1, expect.any(String)])
    await postpone(job, 0)
    expect((await find(first)).state).toBe('retry')
  })

  test('takes no retry from a job that fails meanwhile', async () => {
    await sendKeyed('first')
    await postpone(await fetchOne(), 60_000)
    const second = (await sendKeyed('second', 1))!
    await workOnce(
      createWorker(() => {
        throw new Error('busy')
      }),
    )
    expect((await find(second)).state).toBe('retry')
  })

  test('does not execute while another of its key is active', async () => {
    const first = (await sendKeyed('first'))!
    await postpone(await fetchOne(), 60_000)
    await sendKeyed('second')
    const second = await fetchOne()
    await boss.update(name, undefined, { id: first, startAfter: 0 })
    const worker = createWorker()
    await workOnce(worker)
    expect(worker.executions()).toBe(0)
    const waiting = await find(first)
    expect(waiting).toMatchObject({ state: 'retry', retryCount: 1, retryLimit: 2 })
    await boss.complete(name, second)
    await boss.update(name, undefined, { id: first, startAfter: 0 })
    await workOnce(worker)
    expect(worker.executions()).toBe(1)
    expect(await find(first)).toMatchObject({ state: 'completed', policy: 'stately' })
  })

  test('of two that come back at once, one executes', async () => {
    await sendKeyed('first')
    await postpone(await fetchOne(), 0)
    const first = await fetchOne()
    await postpone(first, 60_000)
    await sendKeyed('second')
    await postpone(await fetchOne(), 0)
    await boss.update(name, undefined, { id: first.id, startAfter: 0 })
    const both = [await fetchOne(), await fetchOne()]
    const worker = createWorker()
    const results = await pgBossHandler(boss, worker.operation)(both)
    expect(worker.executions()).toBe(1)
    expect(results.map(({ status }) => status).sort()).toEqual(['completed', 'failed'])
    expect(results).toContainEqual(expect.objectContaining({ output: { postponed: true } }))
  })
})

test('a postponement whose connection is cut is made again, and spends no attempt', async () => {
  const id = await send(0)
  const job = await fetchOne()
  const worker = createWorker()
  await worker.ledger.close()
  const locker = await database.pool().connect()
  await locker.query('begin')
  await locker.query('select from pgboss.job where id = $1 for update', [id])
  const handled = pgBossHandler(boss, worker.operation)([job])
  const [blocked] = await waitUntilBlocked(database.pool(), { applicationName: 'pgboss' })
  await locker.query('select pg_terminate_backend($1)', [blocked!.pid])
  await locker.query('rollback')
  locker.release()
  expect(await handled).toMatchObject([{ output: { postponed: true } }])
  expect(await find(id)).toMatchObject({ state: 'retry', retryCount: 0, retryLimit: 1 })
})

test('a postponement that took effect unheard is made once', async () => {
  const id = await send(0)
  const job = await fetchOne()
  let calls = 0
  const deaf: PgBossQueue = {
    getDb: () => ({
      async executeSql(text, values) {
        const answer = await boss.getDb().executeSql(text, values)
        if (++calls === 1)
          throw new Error('as a `db` of the host says it', { cause: new Error('ECONNRESET') })
        return answer
      },
    }),
  }
  await postponePgBossJob(deaf, job, 60_000)
  expect(calls).toBe(2)
  expect(await find(id)).toMatchObject({ state: 'retry', retryCount: 0, retryLimit: 1 })
})

test('pg-boss may have a schema of another name', async () => {
  const elsewhere = new PgBoss({
    connectionString: database.url,
    schema: 'elsewhere',
    supervise: false,
    schedule: false,
  })
  elsewhere.on('error', () => {})
  await elsewhere.start()
  onTestFinished(() => elsewhere.stop({ graceful: false }))
  await elsewhere.createQueue(name)
  const id = await elsewhere.send(name, { key: name }, { retryLimit: 0 })
  const [job] = await elsewhere.fetch<Payload>(name, { includeMetadata: true })
  const worker = createWorker()
  await worker.ledger.close()
  const handle = pgBossHandler(elsewhere, worker.operation, { schema: 'elsewhere' })
  await handle([Object.assign(job!, { signal: new AbortController().signal })])
  expect(await elsewhere.findJobs(name, { id: id! })).toMatchObject([{ state: 'retry', retryLimit: 1 }])
})
