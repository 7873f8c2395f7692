import pg from 'pg'
import { expect, test } from 'vitest'
import {
  countStatements,
  countWritingTransactions,
  startEmbeddedServer,
  startStatementLog,
} from '../src/index.ts'
import { useDatabase } from '../src/vitest/index.ts'

const database = useDatabase()

test('counts statements, awaited round trips and transactions', async () => {
  const counts = await countStatements(database.url, async (url) => {
    const client = new pg.Client(url)
    await client.connect()
    await client.query('select 1')
    await client.query('select $1::int', [2])
    await client.query('begin')
    await client.query('select 3')
    await client.query('commit')
    await client.end()
  })
  expect(counts).toEqual({
    statements: ['select 1', 'select $1::int', 'begin', 'select 3', 'commit'],
    roundTrips: 5,
    transactions: 3,
  })
})

test('a named statement is known by its text each time', async () => {
  const log = await startStatementLog(database.url)
  const client = new pg.Client(log.url)
  await client.connect()
  const counts = await log.record(async () => {
    await client.query({ name: 'three', text: 'select 3', values: [] })
    await client.query({ name: 'three', text: 'select 3', values: [] })
  })
  expect(counts).toEqual({ statements: ['select 3', 'select 3'], roundTrips: 2, transactions: 2 })
  await client.end()
  await log.stop()
})

test('a failed statement is a round trip and a transaction too', async () => {
  const pool = database.pool({ max: 1 })
  await pool.query('select 1')
  const counts = await countStatements(database.url, async (url) => {
    const client = new pg.Client(url)
    await client.connect()
    await client.query('select 1/0').catch(() => {})
    await client.end()
  })
  expect(counts).toMatchObject({ roundTrips: 1, transactions: 1 })
})

test('on a server of its own, writing transactions are told from reading ones', async () => {
  await using server = await startEmbeddedServer({ settings: { autovacuum: 'off' } })
  const pool = new pg.Pool({ connectionString: server.url, max: 2 })
  pool.on('error', () => {})
  await pool.query('create table written (n int)')
  const writes = await countWritingTransactions(pool, async () => {
    await pool.query('select count(*) from written')
    await pool.query('insert into written values (1)')
    await pool.query('with w as (update written set n = 2 returning n) select n from w')
    await pool.query('select pg_advisory_lock(1), pg_advisory_unlock(1)')
  })
  expect(writes).toBe(2)
  await pool.end()
})
