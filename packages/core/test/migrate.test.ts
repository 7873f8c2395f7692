import { createServer } from 'node:net'
import {
  createLedger,
  DatabaseRefusedError,
  DatabaseUnavailableError,
  InvalidOptionError,
  MissingMigrationError,
  migrate,
  migrationSql,
  NewerSchemaError,
} from '@opsledger/core'
import type { MigrationSet } from '@opsledger/core/migrations'
import { catalogOf } from '@opsledger/testing'
import { serverChecksPasswords, useDatabase } from '@opsledger/testing/vitest'
import { Kysely, PostgresDialect } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { delivery, useLedgers } from './support/ledger.ts'

const MARKER: MigrationSet = {
  package: 'marker',
  migrations: [
    { name: '0001_marker', statements: [(s) => `create table ${s}.marker (id integer primary key)`] },
    { name: '0002_note', statements: [(s) => `alter table ${s}.marker add column note text`] },
  ],
}
const BROKEN: MigrationSet = {
  package: 'broken',
  migrations: [{ name: '0001_broken', statements: [() => 'create table'] }],
}

const clean = useDatabase()
let expected: string[]

beforeAll(async () => {
  await migrate({ connection: clean.url })
  expected = await catalogOf(clean.pool())
})

describe('one database migrated again and again', () => {
  const database = useDatabase()

  test('the first migration reports what it applied, the next ones find nothing to do', async () => {
    const first = await migrate({ connection: database.url })
    expect(first).toEqual({ schema: 'opsledger', applied: ['core/0001_ledger'] })
    expect(await migrate({ connection: database.url })).toEqual({ schema: 'opsledger', applied: [] })
    expect(await catalogOf(database.pool())).toEqual(expected)
  })

  test("a host's pool and Kysely instance serve as well, and stay open", async () => {
    const pool = database.pool({ max: 1 })
    const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
    expect((await migrate({ pool })).applied).toEqual([])
    expect((await migrate({ kysely })).applied).toEqual([])
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test("a further package's migrations are applied beside core's, in their order, once", async () => {
    const sets = { connection: database.url, with: [MARKER] }
    expect((await migrate(sets)).applied).toEqual(['marker/0001_marker', 'marker/0002_note'])
    expect((await migrate(sets)).applied).toEqual([])
  })

  test('a migration that fails leaves nothing of its run behind', async () => {
    const before = await catalogOf(database.pool())
    const other: MigrationSet = {
      package: 'other',
      migrations: [{ name: '0001_other', statements: [(s) => `create table ${s}.other ()`] }],
    }
    await expect(migrate({ connection: database.url, with: [other, BROKEN] })).rejects.toThrow(/syntax error/)
    expect(await catalogOf(database.pool())).toEqual(before)
  })

  test("a migration that fails on a host's own connection leaves no lock with it", async () => {
    const pool = database.pool({ max: 1 })
    const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
    await expect(migrate({ kysely, with: [BROKEN] })).rejects.toThrow(/syntax error/)
    const { rows } = await database.pool().query(
      `select classid, objid from pg_locks
         where locktype = 'advisory' and database = (select oid from pg_database where datname = $1)`,
      [database.name],
    )
    expect(rows).toEqual([])
  })
})

describe('the printed SQL', () => {
  const database = useDatabase()

  test('makes the identical schema, after which migrate() has nothing to apply', async () => {
    await database.pool().query(migrationSql())
    expect(await catalogOf(database.pool())).toEqual(expected)
    expect((await migrate({ connection: database.url })).applied).toEqual([])
    expect(await catalogOf(database.pool())).toEqual(expected)
  })

  test('names the schema and the packages it was asked for', async () => {
    await database.pool().query(migrationSql({ schema: 'printed', with: [MARKER] }))
    const report = await migrate({ connection: database.url, schema: 'printed', with: [MARKER] })
    expect(report).toEqual({ schema: 'printed', applied: [] })
  })

  test('applied to a schema that is there, fails whole', async () => {
    const client = await database.pool().connect()
    try {
      await expect(client.query(migrationSql())).rejects.toThrow(/already exists/)
      await client.query('rollback')
    } finally {
      client.release()
    }
    expect(await catalogOf(database.pool())).toEqual(expected)
  })
})

describe('two schemas in one database', () => {
  const database = useDatabase()
  const ledgerOf = useLedgers(database)

  test('are identical but for their names, and know nothing of each other', async () => {
    await migrate({ connection: database.url, schema: 'first_team' })
    await migrate({ connection: database.url, schema: '_2nd' })
    expect(await catalogOf(database.pool(), 'first_team')).toEqual(expected)
    expect(await catalogOf(database.pool(), '_2nd')).toEqual(expected)

    const scope = { workspaceId: 'w1' }
    const ledgers = ['first_team', '_2nd'].map((schema) => ledgerOf({ schema }))
    const [first, second] = ledgers
    await first!.operation({
      type: 'a.b',
      scope: () => scope,
      fingerprint: () => 'f',
      handler: () => {},
    })({}, delivery('d1'))
    expect((await first!.list(scope)).runs).toHaveLength(1)
    expect((await second!.list(scope)).runs).toHaveLength(0)
  })

  test('the same identity has another lock in each of them', async () => {
    const { rows } = await database.pool().query(
      `select first_team.lock_key(id) = _2nd.lock_key(id) as same
       from (select gen_random_uuid() as id) as x`,
    )
    expect(rows).toEqual([{ same: false }])
  })
})

test.each(['Opsledger', 'ops-ledger', 'ops ledger', '1ops', '', 'pg_ops', 'a"b', 'x'.repeat(49), 'ä', "a'b"])(
  'the schema name %j is refused wherever it is given',
  async (schema) => {
    const settings = { connection: 'postgres://nobody@127.0.0.1:1/none', schema }
    await expect(migrate(settings)).rejects.toThrow(InvalidOptionError)
    expect(() => migrationSql({ schema })).toThrow(InvalidOptionError)
    expect(() => createLedger(settings)).toThrow(/schema is .*; allowed: a lower-case SQL name/)
  },
)

test('a schema name of 48 characters is the longest that works', async () => {
  const schema = 'x'.repeat(48)
  await migrate({ connection: clean.url, schema, with: [MARKER] })
  expect((await migrate({ connection: clean.url, schema, with: [MARKER] })).applied).toEqual([])
})

test.each([
  ['nothing', {}],
  ['a number', { connection: 5432 as unknown as string }],
])('%s as the way to the database is refused', async (_, options) => {
  await expect(migrate(options)).rejects.toThrow(/connection is .*; allowed: a connection string or settings/)
})

describe('a schema that does not fit the code', () => {
  const database = useDatabase()
  const ledgerOf = useLedgers(database)
  const useOf = async (ledger = ledgerOf()) =>
    ledger.operation({
      type: 'a.b',
      scope: () => ({ workspaceId: 'w1' }),
      fingerprint: () => 'f',
      handler: () => 'done',
    })({}, delivery('d1'))

  test('not there: each use says the command that makes it', async () => {
    const missing = expect.objectContaining({
      code: 'missing_migration',
      message: expect.stringContaining('Run `npx opsledger migrate`, or call migrate()'),
    })
    const ledger = ledgerOf()
    await expect(ledger.ready()).rejects.toEqual(missing)
    await expect(ledger.list({ workspaceId: 'w1' })).rejects.toBeInstanceOf(MissingMigrationError)
    await expect(ledger.sweep()).rejects.toEqual(missing)
    await expect(ledger.prune({ runsOlderThanMs: 1 })).rejects.toEqual(missing)
    await expect(useOf(ledger)).rejects.toEqual(missing)
    await expect(ledgerOf({ schema: 'teams' }).ready()).rejects.toThrow(
      'Run `npx opsledger migrate --schema teams`',
    )
  })

  test('made while the ledger is there already: the next use works', async () => {
    const ledger = ledgerOf()
    await expect(ledger.ready()).rejects.toBeInstanceOf(MissingMigrationError)
    await migrate({ connection: database.url })
    await expect(useOf(ledger)).resolves.toMatchObject({ executed: true, value: 'done' })
  })

  test('newer than the code: migrating and using it are refused, and say what to upgrade', async () => {
    await migrate({ connection: database.url })
    const before = await catalogOf(database.pool())
    await database
      .pool()
      .query(
        `insert into opsledger.core_migration (name, timestamp) values ('9999_from_the_future', '2099-01-01T00:00:00.000Z')`,
      )
    const newer = expect.objectContaining({
      code: 'newer_schema',
      message: expect.stringMatching(/9999_from_the_future.*Upgrade the package/),
    })
    await expect(migrate({ connection: database.url })).rejects.toEqual(newer)
    await expect(migrate({ connection: database.url })).rejects.toBeInstanceOf(NewerSchemaError)
    await expect(ledgerOf().ready()).rejects.toEqual(newer)
    await expect(useOf()).rejects.toEqual(newer)
    await database.pool().query(`delete from opsledger.core_migration where name = '9999_from_the_future'`)
    expect(await catalogOf(database.pool())).toEqual(before)
  })

  test('what a newer version has only added is let be, by workers and by migrate()', async () => {
    await database
      .pool()
      .query(
        `insert into opsledger.core_migration (name, timestamp) values ('9999_note_additive', '2099-01-01T00:00:00.000Z')`,
      )
    await ledgerOf().ready()
    expect(await migrate({ connection: database.url })).toEqual({ schema: 'opsledger', applied: [] })
    const left = await database.pool().query(`select name from opsledger.core_migration order by name`)
    expect(left.rows.map((row) => row.name)).toContain('9999_note_additive')
    await database.pool().query(`delete from opsledger.core_migration where name = '9999_note_additive'`)
  })
})

describe('a database that cannot be used', () => {
  const database = useDatabase()
  let nothingListensAt: number
  beforeAll(async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    nothingListensAt = (server.address() as { port: number }).port
    await new Promise((resolve) => server.close(resolve))
  })
  afterAll(async () => {
    await database.pool().query('drop role if exists no_rights')
  })

  /** Everything an error shows, its causes included. */
  const shownBy = async (work: Promise<unknown>): Promise<{ error: Error; text: string }> => {
    const error = await work.then(
      () => new Error('it worked'),
      (thrown: Error) => thrown,
    )
    let text = ''
    for (let at: unknown = error; at instanceof Error; at = at.cause) {
      text += `${at.stack} ${JSON.stringify(at, Object.getOwnPropertyNames(at))}`
    }
    return { error, text }
  }
  const change = (parts: { password?: string; port?: number; database?: string; user?: string }) => {
    const url = new URL(database.url)
    if (parts.password !== undefined) url.password = parts.password
    if (parts.user !== undefined) url.username = parts.user
    if (parts.port !== undefined) url.port = String(parts.port)
    if (parts.database !== undefined) url.pathname = `/${parts.database}`
    return url
  }
  const users = {
    'migrate()': (connection: string) => migrate({ connection }),
    'a ledger': async (connection: string) => {
      await using ledger = createLedger({ connection })
      await ledger.ready()
    },
  }

  describe.each(Object.entries(users))('says so to %s', (_, use) => {
    // On a server that trusts everybody no password is wrong.
    test.skipIf(!serverChecksPasswords()).each([
      ['a wrong password', { password: 'sesame-open-1' }, /password authentication failed/],
      ['an unknown database', { database: 'no_such_db' }, /database "no_such_db" does not exist/],
    ])('%s is refused, with host, port and user and without the password', async (_what, parts, why) => {
      const url = change(parts)
      const { error, text } = await shownBy(use(url.href))
      expect(error).toBeInstanceOf(DatabaseRefusedError)
      expect(error.message).toMatch(why)
      expect(error.message.match(/refused the connection/g)).toHaveLength(1)
      expect(error.message).toContain(`${url.hostname}:${url.port}${url.pathname} as ${url.username}`)
      expect(error.message).toContain('Check user, password and database name')
      expect(text).not.toContain(url.password)
    })

    test('nothing listening is unavailable, with host, port and user and without the password', async () => {
      const url = change({ port: nothingListensAt, password: 'sesame-open-2' })
      const { error, text } = await shownBy(use(url.href))
      expect(error).toBeInstanceOf(DatabaseUnavailableError)
      expect(error.message).toContain(`${url.hostname}:${url.port}${url.pathname} as ${url.username}`)
      expect(error.message).toMatch(/ECONNREFUSED.*Check that it runs/)
      expect(error.message.match(/cannot be reached/g)).toHaveLength(1)
      expect(text).not.toContain('sesame-open-2')
    })

    test.each([
      'postgres://app:ses%2same@db',
      'postgres://app:sesame/open@127.0.0.1:1/x',
      'postgres://app@h:sesame@h:1:2/x',
      `postgres://app@127.0.0.1:1/sesame@db:1/x`,
    ])('a connection string that is none (%s) is refused without showing its password', async (text) => {
      const { error, text: shown } = await shownBy(use(text))
      expect(error).toHaveProperty('code')
      expect(error.message).not.toContain('sesame')
      expect(shown.replaceAll(text, '')).not.toContain('sesame')
    })
  })

  test('a role without rights is refused and told what to check', async () => {
    await database.pool().query(`create role no_rights login password 'sesame-open-3'`)
    const url = change({ user: 'no_rights', password: 'sesame-open-3' })
    const { error, text } = await shownBy(migrate({ connection: url.href }))
    expect(error).toBeInstanceOf(DatabaseRefusedError)
    expect(error.message).toMatch(/permission denied/)
    expect(text).not.toContain('sesame-open-3')
  })
})
