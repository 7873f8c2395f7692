import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { useDatabase } from '@opsledger/testing/vitest'
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
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

  describe('as a command that cannot be started', () => {
    const folder = mkdtempSync(join(tmpdir(), 'opsledger-seed-'))
    const notExecutable = join(folder, 'migrate.js')
    const withoutInterpreter = join(folder, 'migrate.sh')
    writeFileSync(notExecutable, '')
    writeFileSync(withoutInterpreter, '#!/nowhere/sh\n', { mode: 0o755 })
    afterAll(() => rmSync(folder, { recursive: true }))

    it.each<[string, Migrate, string, RegExp]>([
      [
        'no program of this name',
        { command: 'no-such-migrator' },
        'migrate.command',
        /it is not on the PATH/,
      ],
      [
        'a command line',
        { command: 'node migrate.js' },
        'migrate.command',
        /"node migrate\.js".*arguments go into args/,
      ],
      [
        'a PATH of its own',
        { command: 'node', env: { PATH: folder } },
        'migrate.command',
        /it is not on the PATH/,
      ],
      ['no such file', { command: './migrate.js', cwd: '/' }, 'migrate.command', /is "\.\/migrate\.js"/],
      ['a file that is no program', { command: notExecutable }, 'migrate.command', /that can be executed/],
      ['a folder', { command: folder }, 'migrate.command', /that can be executed/],
      ['nowhere to run', { ...node(''), cwd: '/nowhere' } as Migrate, 'migrate.cwd', /is "\/nowhere"/],
    ])('(%s) cost nothing', async (_, migrate, option, message) => {
      await execute(database.url, 'create schema app; create table app.precious ()')
      const reset = resetAndSeed(optionsFor(database, { migrate }))
      await expect(reset).rejects.toMatchObject({ code: 'invalid_option', option })
      await expect(reset).rejects.toThrow(message)
      await database.pool().query('select from app.precious')
    })

    it('are found from their own working directory, and on a PATH of their own', async () => {
      writeFileSync(join(folder, 'program'), '#!/bin/sh\nexit 7\n', { mode: 0o755 })
      for (const migrate of [
        { command: './program', cwd: folder },
        { command: 'program', env: { PATH: folder } },
      ]) {
        await expect(resetAndSeed(optionsFor(database, { migrate }))).rejects.toThrow(/exit code 7/)
      }
    })

    it('which only shows when it is started, say that it is the command', async () => {
      const reset = resetAndSeed(optionsFor(database, { migrate: { command: withoutInterpreter } }))
      await expect(reset).rejects.toMatchObject({
        code: 'migration_failed',
        cause: { code: 'ENOENT' },
        message: expect.stringMatching(
          /could not be started .*migrate\.sh[\s\S]*Correct `migrate` in the options/,
        ),
      })
    })
  })

  it('as a command that hangs are ended', async () => {
    const reset = resetAndSeed(
      optionsFor(database, { migrate: node('setInterval(() => {}, 1000)', { timeoutMs: 300 }) }),
    )
    await expect(reset).rejects.toThrow(/SIGKILL, after timeoutMs \(300 ms\)/)
  })

  it('as a command that hangs are ended, also where what it has started holds its output open', async () => {
    const script = `
      const { pid } = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'],
        { stdio: 'inherit' })
      console.log(pid)
      setInterval(() => {}, 1000)`
    let grandchild = 0
    const onProgress = (event: Progress) => {
      if (event.phase === 'migration output') grandchild = Number(event.line)
    }
    onTestFinished(() => void process.kill(grandchild, 'SIGKILL'))
    const migrate = node(script, { timeoutMs: 2_000 })
    await expect(resetAndSeed(optionsFor(database, { migrate, onProgress }))).rejects.toThrow(
      /after timeoutMs/,
    )
    expect(grandchild).toBeGreaterThan(0)
  })
})

/** Node 22 leaves the timer of `spawn` behind where nothing was started; newer ones do not. */
const NODES = [process.execPath, ...oldNodes()]

describe.each(NODES)('under %s', (program) => {
  it('a command that does not start leaves no timer behind', async () => {
    const script = `
      const { runMigrations } = await import(${JSON.stringify(new URL('../src/migrate.ts', import.meta.url).href)})
      await runMigrations({ command: 'no-such-migrator' }, { url: 'postgres://localhost/x' }, () => {})
        .catch((error) => console.log(error.code))
      console.log(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length)`
    const args = ['--conditions=opsledger-source', '--input-type=module', '-e', script]
    const { NODE_OPTIONS: _, ...env } = process.env
    const { stdout } = await promisify(execFile)(program, args, { env, timeout: 20_000 })
    expect(stdout.split('\n').slice(0, 2)).toEqual(['migration_failed', '0'])
  })
})

/** Of the matrix's tools, where they are installed. */
function oldNodes(): string[] {
  const cache = new URL('../../../node_modules/.cache/opsledger-toolchain/', import.meta.url)
  if (!existsSync(cache)) return []
  const found = readdirSync(cache).map((folder) =>
    readdirSync(new URL(`${folder}/node_modules/`, cache))
      .filter((name) => name.startsWith('node-22.'))
      .map((name) => fileURLToPath(new URL(`${folder}/node_modules/${name}/bin/node`, cache))),
  )
  return found.flat().slice(0, 1).filter(existsSync)
}

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
