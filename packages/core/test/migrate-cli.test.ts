import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { migrationSql } from '@opsledger/core'
import { catalogOf } from '@opsledger/testing'
import { useDatabase } from '@opsledger/testing/vitest'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const NOWHERE = 'postgres://app:sesame-open@127.0.0.1:1/none'

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** The command as a real process, with no database in its environment unless it is given one. */
function opsledger(
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; cli?: string } = {},
): Promise<Ended> {
  // A NODE_PATH would find packages that are installed beside the tests.
  const {
    OPSLEDGER_DATABASE_URL: _,
    DATABASE_URL: __,
    NODE_OPTIONS: ___,
    NODE_PATH: ____,
    ...inherited
  } = process.env
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--conditions=opsledger-source', options.cli ?? CLI, ...args],
      { cwd: options.cwd ?? tmpdir(), env: { ...inherited, ...options.env } },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

let hostFolder: string
const hostPackage = async (name: string, exports: string, source: string, host = hostFolder) => {
  const folder = join(host, 'node_modules', name)
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ name, type: 'module', exports: { [exports]: './migrations.js' } }),
  )
  await writeFile(join(folder, 'migrations.js'), source)
}

beforeAll(async () => {
  hostFolder = await mkdtemp(join(tmpdir(), 'opsledger-cli-'))
  await hostPackage(
    '@host/marker',
    './migrations',
    `export const migrations = { package: 'marker', migrations: [
       { name: '0001_marker', statements: [(s) => 'create table ' + s + '.marker (id integer primary key)'] }] }`,
  )
  await hostPackage('host-without-migrations', './migrations', 'export const other = 1')
  await hostPackage('host-without-the-door', '.', '')
})
afterAll(() => rm(hostFolder, { recursive: true, force: true }))

describe('opsledger migrate', () => {
  const database = useDatabase()

  test('migrates the database that --url names, and says what it did', async () => {
    expect(await opsledger(['migrate', '--url', database.url])).toEqual({
      code: 0,
      stdout: 'Schema "opsledger": applied core/0001_ledger.\n',
      stderr: '',
    })
    expect(await opsledger(['migrate', '--url', database.url])).toEqual({
      code: 0,
      stdout: 'Schema "opsledger": is up to date, nothing to apply.\n',
      stderr: '',
    })
  })

  test.each([
    ['OPSLEDGER_DATABASE_URL', { DATABASE_URL: NOWHERE }],
    ['DATABASE_URL', {}],
  ])('takes the database from %s', async (name, others) => {
    const env = { ...others, [name]: database.url }
    expect(await opsledger(['migrate'], { env })).toMatchObject({ code: 0, stderr: '' })
  })

  test('--url goes before the environment', async () => {
    const env = { OPSLEDGER_DATABASE_URL: NOWHERE }
    expect(await opsledger(['migrate', '--url', database.url], { env })).toMatchObject({ code: 0 })
  })

  test('--schema and --with migrate that schema, further packages found from the current folder', async () => {
    const args = ['migrate', '--url', database.url, '--schema', 'host_ops', '--with', '@host/marker']
    expect(await opsledger(args, { cwd: hostFolder })).toEqual({
      code: 0,
      stdout: 'Schema "host_ops": applied core/0001_ledger, marker/0001_marker.\n',
      stderr: '',
    })
    const catalog = await catalogOf(database.pool(), 'host_ops')
    expect(catalog).toContain('applied: marker_migration 0001_marker')
    expect(catalog.filter((line) => /^relation r marker,/.test(line))).toHaveLength(1)
  })

  test('a schema that is newer than the code ends with exit code 1 and what to do', async () => {
    await database.pool().query(
      `insert into opsledger.core_migration (name, timestamp)
       values ('9999_later', '2099-01-01T00:00:00.000Z')`,
    )
    const { code, stderr } = await opsledger(['migrate', '--url', database.url])
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^opsledger: Schema "opsledger" was migrated by a newer version.*Upgrade the package/,
    )
  })
})

describe('a guard that is installed beside it', () => {
  const database = useDatabase()
  let withGuard: string
  beforeAll(async () => {
    withGuard = await mkdtemp(join(tmpdir(), 'opsledger-guard-'))
    await hostPackage(
      '@opsledger/dedupe',
      './migrations',
      `export const migrations = { package: 'dedupe', migrations: [] }`,
      withGuard,
    )
  })
  afterAll(() => rm(withGuard, { recursive: true, force: true }))
  const hint =
    '@opsledger/dedupe is installed here and was not named: add --with @opsledger/dedupe to migrate it too.\n'

  test('and was not named is hinted at, on stderr', async () => {
    const args = ['migrate', '--url', database.url]
    expect(await opsledger(args, { cwd: withGuard })).toEqual({
      code: 0,
      stdout: 'Schema "opsledger": applied core/0001_ledger.\n',
      stderr: hint,
    })
    const printed = await opsledger(['migrate', '--print'], { cwd: withGuard })
    expect(printed).toEqual({ code: 0, stdout: migrationSql(), stderr: hint })
  })

  test('and was named is not', async () => {
    const args = ['migrate', '--url', database.url, '--with', '@opsledger/dedupe']
    expect(await opsledger(args, { cwd: withGuard })).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('opsledger migrate --print', () => {
  test('writes the SQL and connects to nothing', async () => {
    const env = { OPSLEDGER_DATABASE_URL: NOWHERE }
    expect(await opsledger(['migrate', '--print'], { env })).toEqual({
      code: 0,
      stdout: migrationSql(),
      stderr: '',
    })
    expect((await opsledger(['migrate', '--print'])).code).toBe(0)
  })

  test('writes it for the schema and the packages that it is told', async () => {
    const args = ['migrate', '--print', '--schema', 'host_ops', '--with', '@host/marker']
    const { code, stdout } = await opsledger(args, { cwd: hostFolder })
    expect(code).toBe(0)
    expect(stdout.startsWith(migrationSql({ schema: 'host_ops' }).replace(/commit;\n$/, ''))).toBe(true)
    expect(stdout).toContain('create table "host_ops".marker')
  })
})

test.each([['--help'], ['-h'], ['help'], ['migrate', '--help']])(
  'opsledger %s says how it is used',
  async (...args) => {
    const { code, stdout, stderr } = await opsledger(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: opsledger migrate/)
    const options = ['--url', '--schema', '--with', '--print', '--help', '--version']
    for (const word of [...options, 'OPSLEDGER_DATABASE_URL', 'Example', 'Exit codes']) {
      expect(stdout).toContain(word)
    }
  },
)

test.each([['--version'], ['-v'], ['migrate', '--version']])(
  'opsledger %s says its version',
  async (...args) => {
    const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'))
    expect(await opsledger(args)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  },
)

describe('beside another kysely than it needs', () => {
  const install = async (versions: Record<string, string>) => {
    const folder = await mkdtemp(join(tmpdir(), 'opsledger-peers-'))
    await cp(fileURLToPath(new URL('../src', import.meta.url)), join(folder, 'src'), { recursive: true })
    await cp(fileURLToPath(new URL('../package.json', import.meta.url)), join(folder, 'package.json'))
    for (const [name, version] of Object.entries(versions)) {
      const home = join(folder, 'node_modules', name)
      await mkdir(home, { recursive: true })
      const exports = { '.': './index.js' }
      await writeFile(join(home, 'package.json'), JSON.stringify({ name, version, type: 'module', exports }))
      // As in that version: the migrator stands in the main door, and there is no other.
      const names = name === 'kysely' ? ['Kysely', 'PostgresDialect', 'sql', 'Migrator'] : ['default']
      const source = names.map((n) => (n === 'default' ? 'export default {}' : `export const ${n} = {}`))
      await writeFile(join(home, 'index.js'), source.join('\n'))
    }
    return folder
  }
  const inFolder = async (versions: Record<string, string>, args: readonly string[]) => {
    const folder = await install(versions)
    try {
      return await opsledger(args, { cli: join(folder, 'src/cli.ts') })
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  test('names what it needs and what it found, without a stack trace: exit code 1', async () => {
    const found = { kysely: '0.28.17', pg: '8.23.1' }
    const { code, stdout, stderr } = await inFolder(found, ['migrate', '--url', NOWHERE])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /^opsledger: @opsledger\/core \S+ needs kysely \^0\.29\.0 \(found: 0\.28\.17\) and pg \S+ \(found: 8\.23\.1\); what is installed cannot be loaded \(.*\)\. Install versions in these ranges\.\n$/,
    )
  })

  test('without any: says so', async () => {
    const { code, stderr } = await inFolder({}, ['migrate', '--print'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/needs kysely \^0\.29\.0 \(found: none\) and pg \S+ \(found: none\)/)
    expect(stderr.trimEnd()).not.toContain('\n')
  })

  test('still says how it is used, and its version', async () => {
    expect(await inFolder({ kysely: '0.28.17' }, ['--help'])).toMatchObject({ code: 0, stderr: '' })
    expect(await inFolder({}, ['--version'])).toMatchObject({ code: 0, stderr: '' })
  })
})

test.each([
  ['no command', [], /No command was given/],
  ['an unknown command', ['destroy'], /There is no command "destroy"/],
  ['an argument too many', ['migrate', 'now'], /takes no argument "now"/],
  ['an unknown option', ['migrate', '--schma', 'x'], /Unknown option '--schma'/],
  ['no database', ['migrate'], /No database was given: pass --url/],
  ['a wrong schema name', ['migrate', '--print', '--schema', 'Ops'], /schema is "Ops"; allowed: /],
  [
    'a connection string that is none',
    ['migrate', '--url', 'postgres://a:b@h:1:2'],
    /connection is "\(not shown\)"/,
  ],
  [
    'a package that is not there',
    ['migrate', '--print', '--with', '@host/absent'],
    /@host\/absent\/migrations cannot be found from .*[^.]\. Install the package/,
  ],
  [
    'a package without that door',
    ['migrate', '--print', '--with', 'host-without-the-door'],
    /host-without-the-door\/migrations cannot be found/,
  ],
  [
    'a package without migrations',
    ['migrate', '--print', '--with', 'host-without-migrations'],
    /has no export `migrations`/,
  ],
])('%s is a wrong call: exit code 2, the reason and the way to the usage', async (_, args, why) => {
  const { code, stdout, stderr } = await opsledger(args, { cwd: hostFolder })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(why)
  expect(stderr).toMatch(/^opsledger: .*\nSee `opsledger --help`\.\n$/)
})

test('a database that cannot be reached is exit code 1, with where and without the password', async () => {
  const { code, stdout, stderr } = await opsledger(['migrate', '--url', NOWHERE])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/^opsledger: Postgres at 127\.0\.0\.1:1\/none as app cannot be reached/)
  expect(stderr).not.toContain('sesame-open')
})
