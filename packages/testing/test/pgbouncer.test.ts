import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findPgBouncer, type PgBouncerSettings, startPgBouncer } from '../src/index.ts'
import { useDatabase } from '../src/vitest/index.ts'

describe.skipIf(findPgBouncer() === null)('a PgBouncer', () => {
  const database = useDatabase()

  const connectThrough = async (settings: PgBouncerSettings) => {
    const pooler = await startPgBouncer(database.url, settings)
    onTestFinished(() => pooler.stop())
    const connect = async () => {
      const client = new pg.Client({ connectionString: pooler.url, connectionTimeoutMillis: 5_000 })
      client.on('error', () => {})
      onTestFinished(() => client.end())
      await client.connect()
      return client
    }
    return { pooler, connect }
  }

  const backendOf = async (client: pg.Client) => {
    const { rows } = await client.query<{ name: string; pid: number }>(
      'select current_database() as name, pg_backend_pid() as pid',
    )
    return rows[0]!
  }

  test('pools as it is told: transactions of two clients share one server connection', async () => {
    const { connect } = await connectThrough({ pool_mode: 'transaction', default_pool_size: 1 })
    const [first, second] = [await connect(), await connect()]
    const backend = await backendOf(first)
    expect(backend.name).toBe(database.name)
    expect(await backendOf(second)).toEqual(backend)
  })

  test('or each session has its own', async () => {
    const { connect } = await connectThrough({ pool_mode: 'session' })
    const [first, second] = [await connect(), await connect()]
    expect((await backendOf(first)).pid).not.toBe((await backendOf(second)).pid)
  })

  test('that is stopped serves nobody any more, and may be stopped again', async () => {
    const { pooler, connect } = await connectThrough({ pool_mode: 'session' })
    await pooler.stop()
    await expect(connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await pooler.stop()
  })

  test('that does not start says why', async () => {
    const wrong = { pool_mode: 'as it likes' } as unknown as PgBouncerSettings
    await expect(startPgBouncer(database.url, wrong)).rejects.toMatchObject({
      message: expect.stringMatching(/does not serve[\s\S]*pool_mode/),
      cause: { message: expect.stringContaining('It ended with code') },
    })
  })
})

describe('the binary', () => {
  test('is the one that is named, and has to be there', () => {
    expect(findPgBouncer({ OPSLEDGER_PGBOUNCER: process.execPath })).toBe(process.execPath)
    expect(() => findPgBouncer({ OPSLEDGER_PGBOUNCER: '/nowhere/pgbouncer' })).toThrow(
      'OPSLEDGER_PGBOUNCER names nothing that can be executed: /nowhere/pgbouncer',
    )
  })
})
