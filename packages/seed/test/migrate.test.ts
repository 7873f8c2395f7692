import { useDatabase } from '@opsledger/testing/vitest'
import { beforeEach, describe, expect, it } from 'vitest'
import { urlOf } from '../src/database/settings.ts'
import { type Migrate, MigrationFailedError, type Progress, resetAndSeed } from '../src/index.ts'
import { execute, HOST_SCHEMA, optionsFor } from './support/host.ts'

const database = useDatabase()
const node = (script: string, more: object = {}): Migrate => ({
  command: process.execPath,
  args: ['-e', script],
  ...more,
})
const withPassword = () => {
  const url = new URL(database.url)
  url.password ||= 'not-checked-here'
  return url.href
}

beforeEach(() => execute(database.url, 'drop schema if exists app cascade'))

describe('the migrations of the host', () => {
  it('as a function get the URL and its parts', async () => {
    const got: unknown[] = []
    const migrate: Migrate = async ({ url, ...parts }) => {
      got.push(url, parts)
      await execute(url, HOST_SCHEMA)
    }
    await resetAndSeed(optionsFor(database, { migrate }))
    const { hostname: host, port, username: user } = new URL(database.url)
    expect(got).toEqual([database.url, { host, port: Number(port), database: database.name, user }])
  })

  it('find recreated and empty schemas', async () => {
    await execute(database.url, 'create schema app; create table app.old ()')
    const migrate: Migrate = async ({ url }) => {
      const { rows } = await database
        .pool()
        .query(`select to_regnamespace('app') is not null as schema, to_regclass('app.old') as old`)
      expect(rows).toEqual([{ schema: true, old: null }])
      await execute(url, HOST_SCHEMA)
    }
    await resetAndSeed(optionsFor(database, { migrate }))
  })

  it('that throw are quoted, and nothing is seeded', async () => {
    const mine = new Error('column "x" does not exist')
    const reset = resetAndSeed(optionsFor(database, { migrate: () => Promise.reject(mine) }))
    await expect(reset).rejects.toThrow(MigrationFailedError)
    await expect(reset).rejects.toMatchObject({ code: 'migration_failed', cause: mine })
    await expect(reset).rejects.toThrow(/column "x" does not exist\n.*no row was seeded/)
  })

  it('as a command that fails are quoted with the end of their output and without the password', async () => {
    const connection = withPassword()
    const { password } = new URL(connection)
    const lines: string[] = []
    const onProgress = (event: Progress) => {
      if (event.phase === 'migration output') lines.push(event.line)
    }
    const migrate = node(
      `console.log('step 1'); console.error('failed at', process.env.DATABASE_URL); process.exit(3)`,
    )
    const reset = resetAndSeed(optionsFor(database, { connection, migrate, onProgress }))
    await expect(reset).rejects.toThrow(/exit code 3[\s\S]*step 1/)
    await expect(reset).rejects.toThrow(/failed at postgres/)
    await expect(reset).rejects.not.toThrow(password)
    expect(lines.join('\n')).toContain('step 1')
    expect(lines.join('\n')).not.toContain(password)
  })

  it('as a command get their own environment and working directory', async () => {
    const migrate = node(`process.exit(process.env.STAGE === 'ci' && process.cwd() === '/' ? 0 : 1)`, {
      env: { STAGE: 'ci' },
      cwd: '/',
    })
    // The command made no tables, so it is the plan that fails: the migrations did not.
    await expect(resetAndSeed(optionsFor(database, { migrate }))).rejects.toMatchObject({
      code: 'unsatisfied_plan',
    })
  })

  it('as a command that is not there say so', async () => {
    const reset = resetAndSeed(optionsFor(database, { migrate: { command: 'no-such-migrator' } }))
    await expect(reset).rejects.toThrow(/no-such-migrator ENOENT/)
  })

  it('as a command that hangs are ended', async () => {
    const reset = resetAndSeed(
      optionsFor(database, { migrate: node('setInterval(() => {}, 1000)', { timeoutMs: 300 }) }),
    )
    await expect(reset).rejects.toThrow(/SIGKILL, after at most 300 ms/)
  })
})

describe('the URL for the migrations', () => {
  const target = { host: 'localhost', port: 5433, database: 'my db', user: 'me' }

  it.each([
    ['settings', { password: 'p@ss' }, target, 'postgres://me:p%40ss@localhost:5433/my%20db'],
    [
      'a socket',
      { password: 'x' },
      { ...target, host: '/run/pg' },
      'postgres://me:x@localhost:5433/my%20db?host=%2Frun%2Fpg',
    ],
    ['an IPv6 address', { password: 'x' }, { ...target, host: '::1' }, 'postgres://me:x@[::1]:5433/my%20db'],
    [
      'a password that is asked for',
      { password: () => Promise.resolve('late') },
      target,
      'postgres://me:late@localhost:5433/my%20db',
    ],
    ['a URL, as it is', 'postgres://u@h/d?sslmode=require', target, 'postgres://u@h/d?sslmode=require'],
  ])('is made of %s', async (_, connection, place, url) => {
    expect(await urlOf(connection, place)).toBe(url)
  })
})
