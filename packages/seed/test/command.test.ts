import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { useDatabase } from '@opsledger/testing/vitest'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { execute, HOST_SCHEMA } from './support/host.ts'

const database = useDatabase()
const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const CONFIG = fileURLToPath(new URL('./fixtures/seed.config.ts', import.meta.url))

const CONFIG_WITH_TYPO = fileURLToPath(new URL('./fixtures/typo.config.ts', import.meta.url))

interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** The command as a process of its own, as CI runs it. */
function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  const { NODE_OPTIONS: _, DATABASE_URL: __, ...inherited } = process.env
  const env = { ...inherited, TEST_DATABASE: database.name, ...environment }
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--conditions=opsledger-source', CLI, ...args],
      { env },
      (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err })
      },
    )
  })
}

const countTenants = async (): Promise<number | null> => {
  const { rows } = await database.pool().query(`select to_regclass('app.tenants') is not null as there`)
  if (!rows[0].there) return null
  return (await database.pool().query('select count(*)::int as n from app.tenants')).rows[0].n
}

const allowed = ['--allow', 'opsledger_test_*']

beforeEach(() => execute(database.url, 'drop schema if exists app cascade'))

describe('the command', () => {
  it('resets and seeds a clean database with the migrations of a command, and exits with 0', async () => {
    const { code, out, err } = await run([CONFIG, ...allowed], { DATABASE_URL: database.url })
    expect({ code, err }).toMatchObject({ code: 0 })
    expect(out).toContain(`Reset and seeded ${database.name}`)
    expect(out).toContain('- app.tenants: 12')
    expect(err).toContain('  | migrated')
    expect(err).toContain('seeding app.tenants: 12 of 12')
    expect(await countTenants()).toBe(12)
  })

  it('takes the database from --url before DATABASE_URL', async () => {
    const { code } = await run([CONFIG, ...allowed, '--url', database.url, '--quiet'], {
      DATABASE_URL: 'postgres://x.invalid/y',
    })
    expect(code).toBe(0)
  })

  it('prints the plan with --dry-run and changes nothing', async () => {
    const { code, out } = await run([CONFIG, ...allowed, '--url', database.url, '--dry-run'])
    expect(code).toBe(0)
    expect(out).toContain('(dry run: nothing was changed)')
    expect(out).toContain('migrate.ts')
    expect(await countTenants()).toBeNull()
  })

  it('empties and seeds with --truncate, with another --seed', async () => {
    await execute(
      database.url,
      `create schema app; ${HOST_SCHEMA}; insert into app.workspaces (id, name, slug)
      values ('00000000-0000-4000-8000-000000000000', 'old', 'old')`,
    )
    const { code, out } = await run([CONFIG, ...allowed, '--url', database.url, '--truncate', '--seed', '42'])
    expect(code).toBe(0)
    expect(out).toContain('1. empty 3 tables in one statement')
    expect(await countTenants()).toBe(12)
  })

  it('exits with 2 and changes nothing where the database is not allowed', async () => {
    await execute(database.url, 'create schema app; create table app.precious ()')
    const { code, err } = await run([CONFIG, '--allow', 'other_*', '--url', database.url])
    expect(code).toBe(2)
    expect(err).toContain('[reset_refused]')
    expect(await countTenants()).toBeNull()
    await database.pool().query('select from app.precious')
  })

  it.each<[string, string[], RegExp]>([
    ['no config', [], /config is ""/],
    [
      'a config that is not there',
      ['nowhere.ts', '--url', 'postgres://localhost/x'],
      /config is "nowhere\.ts"/,
    ],
    ['an unknown flag', [CONFIG, '--force'], /--force/],
    ['a seed that is no integer', [CONFIG, '--seed', 'x'], /--seed is "x"/],
    ['no database', [CONFIG, ...allowed], /--url is undefined/],
    [
      'an option that there is not',
      [CONFIG_WITH_TYPO, '--url', 'postgres://localhost/x'],
      /tabels is not an option of the config .*typo\.config\.ts; did you mean tables\?/,
    ],
    ['nothing that is allowed', [CONFIG, '--url', 'postgres://localhost/x'], /\[invalid_option\]/],
  ])('exits with 2 for %s', async (_, args, message) => {
    const { code, err } = await run(args)
    expect(err).toMatch(message)
    expect(code).toBe(2)
  })

  it('exits with 2 where the database does not exist, and says that it is not made here', async () => {
    const url = new URL(database.url)
    url.pathname = `/${database.name}_missing`
    const { code, err } = await run([CONFIG, ...allowed, '--url', url.href])
    expect(err).toMatch(
      /_missing" does not exist. Nothing was changed. .*create it first.*\[connection_failed\]/,
    )
    expect(code).toBe(2)
  })

  it('takes a name that looks like production when it is given in full, and no pattern for it', async () => {
    const name = `${database.name}_prod`
    await execute(database.url, `create database "${name}"`)
    onTestFinished(() => execute(database.url, `drop database "${name}"`))
    const url = new URL(database.url)
    url.pathname = `/${name}`
    const args = [CONFIG, ...allowed, '--url', url.href, '--quiet']
    const refused = await run([...args, '--allow-production-like', '*_prod'])
    expect(refused.err).toMatch(/its name .* looks like production.*\[reset_refused\]/s)
    expect(refused.code).toBe(2)
    expect((await run([...args, '--allow-production-like', name])).code).toBe(0)
  })

  it('exits with 1 and lists what the plan lacks', async () => {
    const { code, err } = await run([CONFIG, ...allowed, '--url', database.url], { WITHOUT_PARENTS: '1' })
    expect(code).toBe(1)
    expect(err).toContain(
      'app.tenants: its rows are made per row of app.workspaces, which is not in the plan',
    )
    expect(await countTenants()).toBe(0)
  })

  it('explains itself with --help', async () => {
    const { code, out } = await run(['--help'])
    expect(code).toBe(0)
    expect(out).toContain('Exit codes: 0 done; 1')
  })
})
