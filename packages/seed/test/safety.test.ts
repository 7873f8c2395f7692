import { waitUntilBlocked } from '@opsledger/testing'
import { useDatabase } from '@opsledger/testing/vitest'
import pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import { MARKER, resetAndSeed } from '../src/index.ts'
import { checkIdentity, recheckIdentity } from '../src/safety/identity.ts'
import { holdsLock, takeLock } from '../src/safety/lock.ts'
import { execute, HOST_SCHEMA, optionsFor } from './support/host.ts'

const database = useDatabase()
const isThere = async () =>
  (await database.pool().query(`select to_regclass('app.precious') is not null as there`)).rows[0].there
const comment = (text: string | null) =>
  execute(
    database.url,
    `comment on database "${database.name}" is ${text === null ? 'null' : pg.escapeLiteral(text)}`,
  )

beforeEach(async () => {
  await execute(
    database.url,
    'drop schema if exists app cascade; create schema app; create table app.precious ()',
  )
  await comment(null)
})

async function withClient(use: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    await use(client)
  } finally {
    await client.end()
  }
}

describe('a database', () => {
  it('whose name does not match is not touched', async () => {
    const reset = resetAndSeed(
      optionsFor(database, { allow: { database: 'my_*', productionLike: [database.name] } }),
    )
    await expect(reset).rejects.toMatchObject({ code: 'reset_refused', database: database.name })
    expect(await isThere()).toBe(true)
  })

  it('is not touched without the mark that is asked for, and is reset with it', async () => {
    const allow = { marker: true, productionLike: [database.name] }
    await expect(resetAndSeed(optionsFor(database, { allow }))).rejects.toThrow(/does not carry the mark/)
    expect(await isThere()).toBe(true)
    await comment(`for CI. ${MARKER}`)
    await resetAndSeed(optionsFor(database, { allow }))
    expect(await isThere()).toBe(false)
  })

  it('that loses its mark between the first check and the drop is not touched', () =>
    withClient(async (client) => {
      await comment(MARKER)
      await takeLock(client, 0)
      const allow = { marker: true, productionLike: [database.name] }
      const reset = resetAndSeed(optionsFor(database, { allow, lockWaitMs: 20_000 })).catch(
        (error: unknown) => error,
      )
      await waitUntilBlocked(database.pool(), { applicationName: 'opsledger-seed' })
      await comment(null)
      await client.query('select pg_advisory_unlock_all()')
      expect(await reset).toMatchObject({ code: 'connection_changed' })
      expect(await isThere()).toBe(true)
    }))

  it('that loses its mark while the migrations run gets no row', async () => {
    await comment(MARKER)
    const migrate = async ({ url }: { url: string }) => {
      await execute(url, HOST_SCHEMA)
      await comment(null)
    }
    const allow = { marker: true, productionLike: [database.name] }
    await expect(resetAndSeed(optionsFor(database, { allow, migrate }))).rejects.toMatchObject({
      code: 'connection_changed',
    })
    expect((await database.pool().query('select from app.tenants')).rowCount).toBe(0)
  })

  it('that cannot be reached is an error without the password', async () => {
    const reset = resetAndSeed(
      optionsFor(database, { connection: 'postgres://me:geheim99@127.0.0.1:1/opsledger_test_x' }),
    )
    await expect(reset).rejects.toMatchObject({ code: 'connection_failed' })
    await expect(reset).rejects.not.toThrow(/geheim99/)
  })
})

describe('the check on the connection that drops', () => {
  const allow = { database: 'opsledger_test_*' }
  const allowed = () => ({ ...allow, productionLike: [database.name] })

  it('passes on the connection that was checked and holds the lock', () =>
    withClient(async (client) => {
      const identity = await checkIdentity(client, 'localhost', allowed())
      await takeLock(client, 0)
      expect(await holdsLock(client)).toBe(true)
      await recheckIdentity(client, 'localhost', allowed(), identity)
    }))

  it('fails on another connection, as a pooler would give', () =>
    withClient((first) =>
      withClient(async (second) => {
        const identity = await checkIdentity(first, 'localhost', allowed())
        await takeLock(second, 0)
        await expect(recheckIdentity(second, 'localhost', allowed(), identity)).rejects.toMatchObject({
          code: 'connection_changed',
          message: expect.stringContaining('backendPid was'),
        })
      }),
    ))

  it('fails on another server', () =>
    withClient(async (client) => {
      const identity = await checkIdentity(client, 'localhost', allowed())
      await takeLock(client, 0)
      const other = { ...identity, address: '10.0.0.9' }
      await expect(recheckIdentity(client, 'localhost', allowed(), other)).rejects.toThrow(
        /address was 10\.0\.0\.9/,
      )
    }))

  it('fails when the lock is gone', () =>
    withClient(async (client) => {
      const identity = await checkIdentity(client, 'localhost', allowed())
      await takeLock(client, 0)
      await client.query('select pg_advisory_unlock_all()')
      await expect(recheckIdentity(client, 'localhost', allowed(), identity)).rejects.toThrow(
        /The lock .* is gone/,
      )
    }))
})

describe('the schemas', () => {
  it.each([[[]], [['pg_catalog']], [['app', 'app']], [['information_schema']]])(
    'are never %j',
    async (schemas) => {
      await expect(resetAndSeed(optionsFor(database, { schemas }))).rejects.toMatchObject({
        option: 'schemas',
      })
      expect(await isThere()).toBe(true)
    },
  )

  it('are left as they are while another session uses them', () =>
    withClient(async (client) => {
      await client.query('begin; lock table app.precious in access share mode')
      const reset = resetAndSeed(optionsFor(database, { lockTimeoutMs: 50 }))
      await expect(reset).rejects.toMatchObject({ code: 'reset_failed', cause: { code: '55P03' } })
      await expect(reset).rejects.toThrow(/another session uses their tables.*Nothing was changed/)
      expect(await isThere()).toBe(true)
    }))
})
