import { useDatabase } from '@opsledger/testing/vitest'
import { beforeEach, expect, it } from 'vitest'
import { resetAndSeed, table } from '../src/index.ts'
import { execute, optionsFor } from './support/host.ts'

const database = useDatabase()
const other = useDatabase()
const rowsOf = async (sql: string, of = database) => (await of.pool().query(sql)).rows
beforeEach(() =>
  execute(
    database.url,
    'drop schema if exists app, archive cascade; create schema app; create schema archive',
  ),
)
const things = table('app.things', { count: 1, columns: { id: ({ index }) => index } })
const truncate = (changes = {}) =>
  resetAndSeed(optionsFor(database, { mode: 'truncate', tables: [things], ...changes }))

it('leaves a partition that lives in a schema nobody named', async () => {
  await execute(
    database.url,
    `create table app.things (id int) partition by range (id);
    create table app.new partition of app.things for values from (0) to (100);
    create table archive.old partition of app.things for values from (100) to (200);
    insert into app.things values (150)`,
  )
  const report = await truncate().catch((e) => e)
  console.log(
    'partition elsewhere:',
    report.message ?? report.discarded,
    await rowsOf('select count(*)::int from archive.old'),
  )
  expect(await rowsOf('select id from archive.old')).toEqual([{ id: 150 }])
})
it('leaves an inheriting table that lives in a schema nobody named', async () => {
  await execute(
    database.url,
    `create table app.things (id int); create table archive.old () inherits (app.things); insert into archive.old values (150)`,
  )
  const report = await truncate().catch((e) => e)
  console.log('inheritance elsewhere:', report.message ?? report.discarded)
  expect(await rowsOf('select id from archive.old')).toEqual([{ id: 150 }])
})
it('leaves a partition that is to be kept', async () => {
  await execute(
    database.url,
    `create table app.things (id int) partition by range (id);
    create table app.new partition of app.things for values from (0) to (100);
    create table app.old partition of app.things for values from (100) to (200);
    insert into app.things values (150)`,
  )
  const report = await truncate({ keep: ['app.old'] }).catch((e) => e)
  console.log('kept partition:', report.message ?? report.kept)
  expect(await rowsOf('select id from app.old')).toEqual([{ id: 150 }])
})
it('leaves an inheriting table that is to be kept', async () => {
  await execute(
    database.url,
    `create table app.things (id int); create table app.old () inherits (app.things); insert into app.old values (150)`,
  )
  const report = await truncate({ keep: ['app.old'] }).catch((e) => e)
  console.log('kept child:', report.message ?? report.kept)
  expect(await rowsOf('select id from app.old')).toEqual([{ id: 150 }])
})
it('leaves another database alone that a foreign partition reaches', async () => {
  await execute(
    other.url,
    'drop table if exists precious; create table precious (id int); insert into precious values (150)',
  )
  const u = new URL(other.url)
  try {
    await execute(
      database.url,
      `create extension if not exists postgres_fdw;
    drop server if exists production cascade;
    create server production foreign data wrapper postgres_fdw options (host '${u.hostname}', port '${u.port}', dbname '${u.pathname.slice(1)}');
    create user mapping for current_user server production options (user '${decodeURIComponent(u.username)}', password '${decodeURIComponent(u.password) || 'x'}', password_required 'false');
    create table app.things (id int) partition by range (id);
    create table app.new partition of app.things for values from (0) to (100);
    create foreign table app.remote partition of app.things for values from (100) to (200) server production options (schema_name 'public', table_name 'precious')`,
    )
  } catch (e) {
    console.log('no fdw here:', (e as Error).message)
    return
  }
  const report = await truncate().catch((e) => e)
  const left = await rowsOf('select id from precious', other)
  console.log('foreign partition:', report.message ?? report.discarded, 'left on the other database:', left)
  expect(left).toEqual([{ id: 150 }])
})
it('recreate: a partition elsewhere blocks', async () => {
  await execute(
    database.url,
    `create table app.things (id int) partition by range (id);
    create table archive.old partition of app.things for values from (100) to (200); insert into app.things values (150)`,
  )
  const report = await resetAndSeed(optionsFor(database, { tables: [things] })).catch((e) => e)
  console.log('recreate, partition elsewhere:', report.message)
  expect(await rowsOf('select id from archive.old')).toEqual([{ id: 150 }])
})
it('recreate: an inheriting table elsewhere blocks', async () => {
  await execute(
    database.url,
    `create table app.things (id int); create table archive.old () inherits (app.things); insert into archive.old values (150)`,
  )
  const report = await resetAndSeed(optionsFor(database, { tables: [things] })).catch((e) => e)
  console.log('recreate, inheritance elsewhere:', report.message)
  expect(await rowsOf('select id from archive.old')).toEqual([{ id: 150 }])
})
