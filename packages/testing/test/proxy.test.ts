import { expect, onTestFinished, test } from 'vitest'
import { eventually, type PostgresProxy, type ProxyOptions, startProxy } from '../src/index.ts'
import { useDatabase } from '../src/vitest/index.ts'

const database = useDatabase({
  template: 'numbered',
  prepare: async (url) => {
    const { default: pg } = await import('pg')
    const client = new pg.Client(url)
    await client.connect()
    await client.query('create table numbered (n int)')
    await client.end()
  },
})

async function proxied(options?: ProxyOptions): Promise<PostgresProxy> {
  const proxy = await startProxy(database.url, options)
  onTestFinished(() => proxy.stop())
  return proxy
}

const poolThrough = (proxy: PostgresProxy) =>
  database.pool({ connectionString: proxy.url, max: 1, connectionTimeoutMillis: 2_000 })

const count = async (n: number): Promise<number> =>
  (await database.pool().query('select from numbered where n = $1', [n])).rowCount!

test('passes everything on', async () => {
  const pool = poolThrough(await proxied())
  const { rows } = await pool.query('select repeat($1, 500000) as long', ['x'])
  expect(rows[0].long).toHaveLength(500_000)
})

test('a lost reply: the statement commits and the client hears of a broken connection', async () => {
  const proxy = await proxied()
  const pool = poolThrough(proxy)
  await pool.query('select 1')
  const { done } = proxy.loseReplyOf((sql) => sql.startsWith('insert'))
  await expect(pool.query('insert into numbered values ($1)', [1])).rejects.toThrow()
  await done
  expect(await count(1)).toBe(1)
  await pool.query('insert into numbered values ($1)', [1])
  expect(await count(1)).toBe(2)
})

test('a lost reply without a cut: the client waits in vain', async () => {
  const proxy = await proxied()
  const pool = poolThrough(proxy)
  const { done } = proxy.loseReplyOf((sql) => sql === 'insert into numbered values (2)', 'drop')
  let isHeard = false
  const inserting = pool.query('insert into numbered values (2)').finally(() => {
    isHeard = true
  })
  await done
  expect(await count(2)).toBe(1)
  expect(isHeard).toBe(false)
  proxy.cut()
  await expect(inserting).rejects.toThrow()
})

test('a request cut before the server has it changes nothing', async () => {
  const proxy = await proxied({
    onClientData: (_, chunk) => (chunk.includes('insert') ? 'cut' : 'pass'),
  })
  await expect(poolThrough(proxy).query('insert into numbered values (3)')).rejects.toThrow()
  expect(await count(3)).toBe(0)
})

test('a pause towards the client holds the reply back until resume', async () => {
  const proxy = await proxied()
  const pool = poolThrough(proxy)
  await pool.query('select 1')
  proxy.pause('to-client')
  let isHeard = false
  const inserting = pool.query('insert into numbered values (4)').then(() => {
    isHeard = true
  })
  await eventually(async () => expect(await count(4)).toBe(1))
  expect(isHeard).toBe(false)
  proxy.resume()
  await inserting
})

test('a pause towards the server keeps the request, and a new connection hears nothing', async () => {
  const proxy = await proxied()
  const pool = poolThrough(proxy)
  await pool.query('select 1')
  proxy.pause()
  const inserting = pool.query('insert into numbered values (5)')
  const late = database.pool({ connectionString: proxy.url, connectionTimeoutMillis: 300 })
  await expect(late.query('select 1')).rejects.toThrow('timeout')
  expect(await count(5)).toBe(0)
  proxy.resume()
  await inserting
  expect(await count(5)).toBe(1)
})

test('cut destroys what is open and serves what comes next', async () => {
  const proxy = await proxied()
  const pool = poolThrough(proxy)
  const sleeping = pool.query('select pg_sleep(60)')
  sleeping.catch(() => {})
  await eventually(async () => {
    const { rowCount } = await database
      .pool()
      .query(`select from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'`)
    expect(rowCount).toBe(1)
  })
  proxy.cut()
  await expect(sleeping).rejects.toThrow()
  await pool.query('select 1')
  expect(proxy.connections).toBe(1)
})
