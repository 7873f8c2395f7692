import { useDatabase } from '@opsledger/testing/vitest'
import { beforeEach, describe, expect, it } from 'vitest'
import { type ResetAndSeedOptions, ResetBlockedError, resetAndSeed, table } from '../src/index.ts'
import { execute, optionsFor } from './support/host.ts'

const database = useDatabase()
const things = table('app.things', { count: 1, columns: { id: ({ index }) => index } })

beforeEach(() =>
  execute(
    database.url,
    'drop schema if exists app, archive cascade; create schema app; create schema archive',
  ),
)

const idsOf = async (name: string, of = database): Promise<number[]> =>
  (await of.pool().query(`select id from ${name} order by id`)).rows.map((row) => row.id)

const reset = (changes: Partial<ResetAndSeedOptions> = {}) =>
  resetAndSeed(optionsFor(database, { mode: 'truncate', tables: [things], ...changes }))

const parts = `
  create table app.things (id int) partition by range (id);
  create table app.new partition of app.things for values from (0) to (100);`

const families = {
  'a partition in a schema that was not named': {
    sql: `${parts} create table archive.old partition of app.things for values from (100) to (200)`,
    child: 'archive.old',
    dependent: 'partition archive.old would be emptied with its parent',
  },
  'a partition of a partition in a schema that was not named': {
    sql: `${parts}
      create table app.middle partition of app.things for values from (100) to (200) partition by range (id);
      create table archive.old partition of app.middle for values from (100) to (200)`,
    child: 'archive.old',
    dependent: 'partition archive.old would be emptied with its parent',
  },
  'an inheriting table in a schema that was not named': {
    sql: 'create table app.things (id int); create table archive.old () inherits (app.things)',
    child: 'archive.old',
    dependent: 'table archive.old would be emptied with its parent',
  },
  'a partition that is to be kept': {
    sql: `${parts} create table app.old partition of app.things for values from (100) to (200)`,
    keep: ['app.old'],
    child: 'app.old',
    dependent: 'partition app.old would be emptied with its parent',
  },
  'an inheriting table that is to be kept': {
    sql: 'create table app.things (id int); create table app.old () inherits (app.things)',
    keep: ['app.old'],
    child: 'app.old',
    dependent: 'table app.old would be emptied with its parent',
  },
}

describe('truncate takes nothing along that it was not told of', () => {
  it.each(Object.entries(families))('%s', async (_, { child, dependent, sql, ...options }) => {
    await execute(database.url, `${sql}; insert into ${child} values (150)`)
    const error = await reset(options).catch((reason: unknown) => reason)
    expect(await idsOf(child)).toEqual([150])
    expect(error).toBeInstanceOf(ResetBlockedError)
    expect(error).toMatchObject({ code: 'reset_blocked', dependents: [dependent] })
  })

  it('a family that lies in the named schemas as a whole is emptied as a whole', async () => {
    await execute(database.url, families['a partition in a schema that was not named'].sql)
    await execute(database.url, 'insert into app.things values (50), (150)')
    await reset({ schemas: ['app', 'archive'] })
    expect(await idsOf('app.things')).toEqual([0])
  })

  it('a family whose parent is kept as well stays', async () => {
    const { sql } = families['an inheriting table in a schema that was not named']
    await execute(
      database.url,
      `${sql}; insert into archive.old values (150); create table app.others (id int)`,
    )
    const others = table('app.others', { count: 1, columns: { id: ({ index }) => index } })
    await reset({ keep: ['app.things'], tables: [others] })
    expect(await idsOf('app.things')).toEqual([150])
    expect(await idsOf('app.others')).toEqual([0])
  })
})

describe('truncate and a partition that is a table of another database', () => {
  const other = useDatabase()

  it('leaves that database alone', async ({ skip }) => {
    const { rows } = await database
      .pool()
      .query(`select from pg_available_extensions where name = 'postgres_fdw'`)
    skip(rows.length === 0, 'this server has no postgres_fdw')
    const { hostname, port, pathname, username, password } = new URL(other.url)
    await execute(other.url, 'create table precious (id int); insert into precious values (150)')
    await execute(
      database.url,
      `${parts}
      create extension postgres_fdw;
      create server production foreign data wrapper postgres_fdw
        options (host '${hostname}', port '${port}', dbname '${pathname.slice(1)}');
      create user mapping for current_user server production options (
        user '${decodeURIComponent(username)}', password '${decodeURIComponent(password) || 'none'}',
        password_required 'false');
      create foreign table app.remote partition of app.things for values from (100) to (200)
        server production options (schema_name 'public', table_name 'precious')`,
    )
    expect(await idsOf('app.things')).toEqual([150])
    await expect(reset()).rejects.toMatchObject({
      code: 'reset_blocked',
      dependents: ['foreign table app.remote would be emptied with its parent'],
    })
    expect(await idsOf('precious', other)).toEqual([150])
  })
})

describe('recreate drops nothing that it was not told of', () => {
  it.each([
    'a partition in a schema that was not named',
    'an inheriting table in a schema that was not named',
  ] as const)('%s', async (name) => {
    const { sql, child } = families[name]
    await execute(database.url, `${sql}; insert into ${child} values (150)`)
    await expect(reset({ mode: 'recreate' })).rejects.toMatchObject({
      code: 'reset_blocked',
      dependents: ['table archive.old'],
    })
    expect(await idsOf(child)).toEqual([150])
  })
})
