import { migrate } from '@opsledger/core'
import { catalogOf, createDatabase, randomFrom, startProxy, waitUntilBlocked } from '@opsledger/testing'
import { startWorker, useDatabase } from '@opsledger/testing/vitest'
import pg from 'pg'
import { beforeAll, expect, inject, onTestFinished, test } from 'vitest'

const PROCESS = new URL('./support/migrate-process.ts', import.meta.url)
const MIGRATION_LOCK = `hashtextextended('opsledger migrate opsledger', 0)`

const clean = useDatabase()
let expected: string[]

beforeAll(async () => {
  await migrate({ connection: clean.url })
  expected = await catalogOf(clean.pool())
})

/** Starts the processes and lets none of them begin before all of them wait at the lock, in this order. */
async function startTogether(pool: pg.Pool, urls: readonly string[]) {
  const gate = await pool.connect()
  try {
    await gate.query(`select pg_advisory_lock(${MIGRATION_LOCK})`)
    const workers = urls.map((url) => startWorker(PROCESS, { args: [url] }))
    for (const worker of workers) await worker.next((message) => message === 'ready', { withinMs: 60_000 })
    for (const [index, worker] of workers.entries()) {
      worker.send('go')
      await waitUntilBlocked(pool, { count: index + 1, withinMs: 30_000 })
    }
    return {
      workers,
      open: () => gate.query(`select pg_advisory_unlock(${MIGRATION_LOCK})`).finally(() => gate.release()),
    }
  } catch (error) {
    gate.release(true)
    throw error
  }
}

async function emptyDatabase(): Promise<{ url: string; pool: pg.Pool }> {
  const database = await createDatabase(inject('opsledgerServer'))
  const pool = new pg.Pool({ connectionString: database.url })
  pool.on('error', () => {})
  onTestFinished(async () => {
    await pool.end()
    await database.drop()
  })
  return { url: database.url, pool }
}

test('twenty processes that migrate at once make one schema, and one of them made it', async () => {
  const { url, pool } = await emptyDatabase()
  const { workers, open } = await startTogether(pool, Array(20).fill(url))
  await open()
  const answers = await Promise.all(
    workers.map((worker) => worker.next<{ applied: string[] }>((message) => typeof message === 'object')),
  )
  expect(answers.filter(({ applied }) => applied.length > 0)).toEqual([{ applied: ['core/0001_ledger'] }])
  expect(answers.filter(({ applied }) => applied?.length === 0)).toHaveLength(19)
  expect(await catalogOf(pool)).toEqual(expected)
}, 120_000)

const MESSAGES_OF_A_MIGRATION = 75

test.each([1, 2, 3])(
  'eight processes of which all but one are killed at a random message leave the exact schema (seed %i)',
  async (seed) => {
    const { url, pool } = await emptyDatabase()
    const random = randomFrom(seed)
    const victims = Array.from({ length: 7 }, () => ({
      at: 1 + random.below(MESSAGES_OF_A_MIGRATION),
      isMessageSent: random.next() < 0.5,
      kill: () => {},
      sawStatement: '',
    }))
    const urls: string[] = []
    for (const victim of victims) {
      const proxy = await startProxy(url)
      onTestFinished(() => proxy.stop())
      urls.push(proxy.url)
      let seen = 0
      // Up to the fourth they only come to the gate, and all of them have to.
      proxy.onClientData((_, chunk) => {
        seen += 1
        if (seen <= 4 || seen < victim.at) return 'pass'
        victim.sawStatement = chunk.toString('latin1').slice(0, 60)
        victim.kill()
        return victim.isMessageSent ? 'pass' : 'drop'
      })
    }
    const { workers, open } = await startTogether(pool, [...urls, url])
    victims.forEach((victim, index) => {
      victim.kill = () => void workers[index]!.kill('SIGKILL')
    })
    await open()
    const ends = await Promise.all(workers.map((worker) => worker.exited))

    const killed = victims.filter(({ sawStatement }) => sawStatement !== '')
    expect(ends.filter(({ signal }) => signal === 'SIGKILL')).toHaveLength(killed.length)
    expect(ends.filter(({ code }) => code === 0)).toHaveLength(ends.length - killed.length)
    expect(
      killed.filter(({ sawStatement }) => /create (table|type|function|domain)/.test(sawStatement)),
    ).not.toEqual([])

    await migrate({ connection: url })
    expect(await catalogOf(pool)).toEqual(expected)
    expect((await migrate({ connection: url })).applied).toEqual([])
  },
  120_000,
)
