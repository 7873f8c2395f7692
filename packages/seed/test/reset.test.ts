import { waitUntilBlocked } from '@opsledger/testing'
import { useDatabase } from '@opsledger/testing/vitest'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  describeReport,
  filledByDatabase,
  type Progress,
  ResetBlockedError,
  ResetInProgressError,
  ResetRefusedError,
  ref,
  resetAndSeed,
  SeedingFailedError,
  serial,
  table,
  uuid,
} from '../src/index.ts'
import { execute, HOST_SCHEMA, optionsFor, tenants, workspaces } from './support/host.ts'

const database = useDatabase()
const rowsOf = async (sql: string) => (await database.pool().query(sql)).rows
const countsOf = () =>
  rowsOf(`select (select count(*)::int from app.workspaces) as workspaces,
    (select count(*)::int from app.tenants) as tenants, (select count(*)::int from app.assignments) as assignments`)

beforeEach(() => execute(database.url, 'drop schema if exists app, billing cascade'))

describe('a reset by recreation', () => {
  it('makes a seeded database out of an empty one, with no step by hand', async () => {
    const report = await resetAndSeed(optionsFor(database))
    expect(await countsOf()).toEqual([{ workspaces: 3, tenants: 12, assignments: 24 }])
    expect(report).toMatchObject({ dryRun: false, rows: 39, checkedAgainst: 'catalog', problems: [] })
    expect(report.tables.map(({ name }) => name)).toEqual([
      'app.workspaces',
      'app.tenants',
      'app.assignments',
    ])
  })

  it('gives tenants a version 4 external_id and a workspace that exists', async () => {
    await resetAndSeed(optionsFor(database))
    const bad = await rowsOf(`select from app.tenants t left join app.workspaces w on w.id = t.workspace_id
      where w.id is null or t.external_id::text !~ '^.{14}4.{4}[89ab]'`)
    expect(bad).toEqual([])
  })

  it('makes the same rows each time for the same seed value, and other rows for another', async () => {
    const ids = async (seed?: number) => {
      await resetAndSeed(optionsFor(database, { seed }))
      return rowsOf('select external_id from app.tenants order by id')
    }
    const first = await ids()
    expect(await ids()).toEqual(first)
    expect(await ids(2)).not.toEqual(first)
  })

  it('drops what was there before', async () => {
    await execute(
      database.url,
      'create schema app; create table app.old (); create table app.tenants (other int)',
    )
    const report = await resetAndSeed(optionsFor(database))
    expect(report.discarded.map(({ name }) => name)).toEqual(['app.old', 'app.tenants'])
    expect(await rowsOf(`select to_regclass('app.old') as old`)).toEqual([{ old: null }])
  })

  it('lets sequences go on behind the seeded rows', async () => {
    await resetAndSeed(optionsFor(database))
    const [next] = await rowsOf(`insert into app.tenants (workspace_id, external_id, name)
      select id, gen_random_uuid(), 'new' from app.workspaces limit 1 returning id::int`)
    expect(next).toEqual({ id: 13 })
  })

  it('keeps the grants of a schema it recreates', async () => {
    await execute(database.url, 'create schema app; grant usage on schema app to public')
    await resetAndSeed(optionsFor(database))
    expect(
      await rowsOf(`select 'app'::regnamespace::oid > 0 as ok, exists (
      select from pg_namespace n, aclexplode(n.nspacl) a
      where nspname = 'app' and a.grantee = 0 and a.privilege_type = 'USAGE') as granted`),
    ).toEqual([{ ok: true, granted: true }])
  })

  it('leaves other schemas alone', async () => {
    await execute(
      database.url,
      'create schema billing; create table billing.invoice (id int); insert into billing.invoice values (1)',
    )
    await resetAndSeed(optionsFor(database))
    expect(await rowsOf('select id from billing.invoice')).toEqual([{ id: 1 }])
  })

  it.each([
    ['a view', 'create view billing.v as select id from app.old', 'view billing.v'],
    [
      'a foreign key',
      'create table billing.i (old int references app.old)',
      'table constraint i_old_fkey on billing.i',
    ],
    ['a column of a type', 'create table billing.i (m app.mood)', 'table column billing.i.m'],
    ['a default', `create table billing.i (n int default nextval('app.s'))`, 'default value for billing.i.n'],
    [
      'a function',
      'create function billing.f(app.mood) returns int language sql as $$ select 1 $$',
      'function billing.f(app.mood)',
    ],
  ])('refuses to take %s of another schema along', async (_, statement, dependent) => {
    await execute(
      database.url,
      `create schema app; create table app.old (id int primary key); create sequence app.s;
      create type app.mood as enum ('fine'); create view app.own as select * from app.old;
      create schema billing; ${statement}`,
    )
    const reset = resetAndSeed(optionsFor(database))
    await expect(reset).rejects.toThrow(ResetBlockedError)
    await expect(reset).rejects.toMatchObject({ dependents: [dependent] })
    expect(await rowsOf(`select to_regclass('app.old')::text as old`)).toEqual([{ old: 'app.old' }])
    await expect(resetAndSeed(optionsFor(database, { dryRun: true }))).rejects.toThrow(ResetBlockedError)
  })
})

describe('the schema public', () => {
  it('is emptied and keeps its identity, its grants and what an extension put there', async () => {
    await execute(
      database.url,
      `grant create on schema public to public;
      create table public.parent (id int primary key); create table public.child (p int references public.parent);
      create view public.v as select * from public.parent; create sequence public.s; create domain public.d as int;
      create type public.e as enum ('x'); create type public.c as (a int);
      create function public.f(a int, out b int) language sql as $$ select 1 $$;
      create procedure public.p(in a int) language sql as $$ select 1 $$;
      create aggregate public.agg(int) (sfunc = int4pl, stype = int, initcond = '0');
      create materialized view public.m as select 1 as one; create table public.part (id int) partition by range (id);
      create table public.part1 partition of public.part for values from (0) to (10);
      create extension citext schema public`,
    )
    const [before] = await rowsOf(`select 'public'::regnamespace::oid as oid`)
    const one = table('public.one', { count: 2, columns: { id: serial() } })
    const options = optionsFor(database, {
      schemas: ['public'],
      migrate: ({ url }) => execute(url, 'create table public.one (id int primary key)'),
      tables: [one],
    })
    await resetAndSeed(options)
    await resetAndSeed(options)
    expect(
      await rowsOf(`select relname from pg_class where relnamespace = 'public'::regnamespace order by 1`),
    ).toEqual([{ relname: 'one' }, { relname: 'one_pkey' }])
    const own = await rowsOf(`select proname from pg_proc p where pronamespace = 'public'::regnamespace
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')`)
    expect(own).toEqual([])
    expect(await rowsOf(`select 'A'::public.citext = 'a' as same`)).toEqual([{ same: true }])
    expect(await rowsOf(`select 'public'::regnamespace::oid as oid`)).toEqual([before])
    expect(await rowsOf(`select has_schema_privilege('public', 'public', 'create') as granted`)).toEqual([
      { granted: true },
    ])
    await execute(database.url, 'drop table public.one')
  })
})

describe('a reset by truncation', () => {
  beforeEach(() => resetAndSeed(optionsFor(database)))

  it('empties and seeds again without running migrations', async () => {
    await execute(
      database.url,
      `create table app.kysely_migration (name text); insert into app.kysely_migration values ('1');
      create table app.log (id int generated always as identity, t bigint references app.tenants); insert into app.log (t) values (1)`,
    )
    const migrate = () => expect.unreachable()
    const report = await resetAndSeed(optionsFor(database, { mode: 'truncate', migrate }))
    expect(await countsOf()).toEqual([{ workspaces: 3, tenants: 12, assignments: 24 }])
    expect(await rowsOf('select from app.log')).toEqual([])
    expect(await rowsOf('select name from app.kysely_migration')).toEqual([{ name: '1' }])
    expect(report).toMatchObject({ mode: 'truncate', migrations: null, kept: ['app.kysely_migration'] })
    const order = report.discarded.map(({ name }) => name)
    expect(order.indexOf('app.log')).toBeLessThan(order.indexOf('app.tenants'))
    expect(order.indexOf('app.tenants')).toBeLessThan(order.indexOf('app.workspaces'))
    expect(await rowsOf(`select nextval('app.log_id_seq')::int as next`)).toEqual([{ next: 1 }])
    expect(await rowsOf('select max(id) as id from app.assignments')).toEqual([{ id: 24 }])
  })

  it('refuses when a table it keeps points to one it would empty', async () => {
    const reset = resetAndSeed(optionsFor(database, { mode: 'truncate', keep: ['app.assignments'] }))
    await expect(reset).rejects.toMatchObject({
      code: 'reset_blocked',
      dependents: ['table app.assignments points to app.tenants'],
    })
  })

  it('leaves every row as it was when the seeding fails', async () => {
    await execute(database.url, `alter table app.assignments add constraint no_note check (note is null)`)
    const noted = table('app.assignments', {
      per: tenants,
      count: 1,
      columns: { tenant_id: ({ parent }) => parent.id, note: 'x' },
    })
    const reset = resetAndSeed(
      optionsFor(database, { mode: 'truncate', tables: [workspaces, tenants, noted], seed: 9 }),
    )
    await expect(reset).rejects.toThrow(/rolled back: the tables hold what they held before/)
    expect(await countsOf()).toEqual([{ workspaces: 3, tenants: 12, assignments: 24 }])
  })
})

describe('a dry run', () => {
  it('prints what would be dropped, migrated and seeded, and changes nothing', async () => {
    await execute(
      database.url,
      'create schema app; create table app.old (id int); insert into app.old values (1); analyze app.old',
    )
    const migrate = () => expect.unreachable()
    const events: Progress[] = []
    const report = await resetAndSeed(
      optionsFor(database, { dryRun: true, migrate, onProgress: (event) => events.push(event) }),
    )
    expect(describeReport(report).replace(database.name, 'the database')).toBe(
      [
        'Plan for the database on 127.0.0.1 (dry run: nothing was changed)',
        '1. drop and recreate app',
        '   - app.old (about 1 row)',
        '2. run the migrations: the function migrate',
        '3. check the plan against the catalog',
        '4. seed 39 rows in one transaction',
        '   - app.workspaces: 3',
        '   - app.tenants: 12',
        '   - app.assignments: 24',
        'Nothing is missing in the plan itself. It is held against the tables when the migrations have made them.',
      ].join('\n'),
    )
    expect(await rowsOf('select id from app.old')).toEqual([{ id: 1 }])
    expect(events.map(({ phase }) => phase)).toEqual(['check'])
  })

  it('of a truncation reports what the plan lacks, and changes nothing', async () => {
    await resetAndSeed(optionsFor(database))
    const broken = table('app.workspaces', { count: 1, columns: { id: uuid.v4(), name: 'x' } })
    const options = optionsFor(database, { mode: 'truncate', dryRun: true, tables: [broken] })
    const report = await resetAndSeed(options)
    expect(report).toMatchObject({
      checkedAgainst: 'catalog',
      problems: [{ kind: 'missing_value', column: 'slug' }],
    })
    expect(await countsOf()).toEqual([{ workspaces: 3, tenants: 12, assignments: 24 }])
  })

  it('is refused where the reset would be', async () => {
    const allow = { database: 'some_other_*' }
    await expect(resetAndSeed(optionsFor(database, { dryRun: true, allow }))).rejects.toThrow(
      ResetRefusedError,
    )
  })
})

describe('the seeding', () => {
  it('that fails leaves migrated and empty tables, and says so', async () => {
    const migrate = ({ url }: { url: string }) =>
      execute(
        url,
        `${HOST_SCHEMA}; alter table app.assignments add constraint odd_only check (tenant_id % 2 = 1)`,
      )
    const reset = resetAndSeed(optionsFor(database, { migrate }))
    await expect(reset).rejects.toThrow(SeedingFailedError)
    await expect(reset).rejects.toThrow(/odd_only.*rolled back: the tables are migrated and hold none/)
    await expect(reset).rejects.toMatchObject({ table: 'app.assignments', cause: { code: '23514' } })
    expect(await countsOf()).toEqual([{ workspaces: 0, tenants: 0, assignments: 0 }])
    const [next] = await rowsOf(`select last_value::int as value, is_called from app.tenants_id_seq`)
    expect(next).toEqual({ value: 1, is_called: false })
  })

  it('is rolled back when its connection is cut', async () => {
    const cut = async () => {
      await database.pool().query(`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'opsledger-seed' and datname = current_database()`)
    }
    let isCut: Promise<void> | null = null
    const onProgress = (event: Progress) => {
      if (event.phase === 'seed' && event.table === 'app.tenants') isCut ??= cut()
    }
    const many = table('app.assignments', {
      per: tenants,
      count: 200,
      columns: { tenant_id: ({ parent }) => parent.id },
    })
    const options = optionsFor(database, { onProgress, batchRows: 1, tables: [workspaces, tenants, many] })
    await expect(resetAndSeed(options)).rejects.toMatchObject({ code: 'seeding_failed' })
    await isCut
    expect(await countsOf()).toEqual([{ workspaces: 0, tenants: 0, assignments: 0 }])
  })

  it('is rolled back when the progress callback throws, with that very error', async () => {
    const mine = new Error('mine')
    const onProgress = ({ phase }: Progress) => {
      if (phase === 'seed') throw mine
    }
    await expect(resetAndSeed(optionsFor(database, { onProgress }))).rejects.toBe(mine)
    expect(await countsOf()).toEqual([{ workspaces: 0, tenants: 0, assignments: 0 }])
  })

  it('reports its progress in rows, per table and altogether', async () => {
    const events: string[] = []
    await resetAndSeed(
      optionsFor(database, {
        batchRows: 10,
        onProgress: (event) => {
          if (event.phase === 'seed')
            events.push(
              `${event.table} ${event.rows}/${event.ofRows} ${event.totalRows}/${event.ofTotalRows}`,
            )
        },
      }),
    )
    expect(events).toEqual([
      'app.workspaces 3/3 3/39',
      'app.tenants 10/12 13/39',
      'app.tenants 12/12 15/39',
      'app.assignments 10/24 25/39',
      'app.assignments 20/24 35/39',
      'app.assignments 24/24 39/39',
    ])
  })

  it('leaves columns to their defaults, row by row', async () => {
    const mixed = table('app.workspaces', {
      count: 6,
      columns: {
        id: uuid.v4(),
        name: 'x',
        slug: ({ index }) => `s${index}`,
        plan: ({ index }) => (index % 2 === 0 ? 'team' : undefined),
      },
    })
    await resetAndSeed(optionsFor(database, { tables: [mixed] }))
    expect(await rowsOf('select slug, plan from app.workspaces order by slug')).toEqual(
      [0, 1, 2, 3, 4, 5].map((index) => ({ slug: `s${index}`, plan: index % 2 === 0 ? 'team' : 'free' })),
    )
  })

  it('stores values of every kind as they are', async () => {
    const columns = {
      j: { quote: '"', deep: [1, null] },
      js: 'text in json',
      a: ['a,b', null, 'q"\\'],
      n: [
        [1, 2],
        [3, 4],
      ],
      b: new Uint8Array([0, 255]),
      t: new Date('2026-02-03T04:05:06.789Z'),
      big: 9007199254740993n,
      f: 1.5,
      yes: true,
      nothing: null,
      pad: 'ab',
      odd: 'tab\t, new\nline, {brace}, \\N, NULL',
    }
    await resetAndSeed(
      optionsFor(database, {
        migrate: ({ url }) =>
          execute(
            url,
            `create table app.kinds (j jsonb, js json, a text[], n int[], b bytea, t timestamptz, big bigint,
            f float8, yes bool, nothing text, pad char(4), odd text)`,
          ),
        tables: [table('app.kinds', { count: 1, columns })],
      }),
    )
    const [row] = await rowsOf('select *, big::text as big, js::text as js from app.kinds')
    expect(row).toEqual({
      ...columns,
      b: Buffer.from(columns.b),
      js: '"text in json"',
      big: '9007199254740993',
      pad: 'ab  ',
    })
  })

  it('takes the word of a plan that a trigger fills a column', async () => {
    const one = table('app.one', { count: 1, columns: { id: serial(), stamp: filledByDatabase } })
    await resetAndSeed(
      optionsFor(database, {
        migrate: ({ url }) =>
          execute(
            url,
            `create table app.one (id int primary key, stamp text not null);
            create function app.stamp() returns trigger language plpgsql as $$ begin new.stamp = 'set'; return new; end $$;
            create trigger stamp before insert on app.one for each row execute function app.stamp()`,
          ),
        tables: [one],
      }),
    )
    expect(await rowsOf('select * from app.one')).toEqual([{ id: 1, stamp: 'set' }])
  })

  it('of tables in a circle defers a deferrable constraint', async () => {
    const users = table('app.users', { count: 2, columns: { id: serial(), team_id: ref('app.teams') } })
    const teams = table('app.teams', { count: 2, columns: { id: serial(), lead_id: ref('app.users') } })
    await resetAndSeed(
      optionsFor(database, {
        migrate: ({ url }) =>
          execute(
            url,
            `create table app.users (id int primary key, team_id int not null);
            create table app.teams (id int primary key, lead_id int not null references app.users);
            alter table app.users add foreign key (team_id) references app.teams deferrable`,
          ),
        tables: [teams, users],
      }),
    )
    expect(await rowsOf('select id, team_id from app.users order by id')).toEqual([
      { id: 1, team_id: 1 },
      { id: 2, team_id: 2 },
    ])
  })

  it('accepts parents that the migrations wrote', async () => {
    const one = table('app.one', { count: 2, columns: { country: ({ index }) => ['de', 'fr'][index] } })
    await resetAndSeed(
      optionsFor(database, {
        migrate: ({ url }) =>
          execute(
            url,
            `create table app.country (code text primary key); insert into app.country values ('de'), ('fr');
            create table app.one (country text not null references app.country)`,
          ),
        tables: [one],
      }),
    )
    expect(await rowsOf('select country from app.one order by 1')).toEqual([
      { country: 'de' },
      { country: 'fr' },
    ])
  })

  it('writes 100,000 rows with references, unique keys and identity columns', async () => {
    const manyTenants = table('app.tenants', {
      ...tenants.spec,
      per: workspaces,
      count: 5_000,
      columns: {
        id: serial(),
        workspace_id: ({ parent }) => parent.id,
        external_id: uuid.v4(),
        name: ({ index }) => `Tenant ${index}`,
      },
    })
    const many = table('app.assignments', {
      count: 85_000,
      columns: { tenant_id: ref(manyTenants), note: ({ random }) => `n ${random.uint32()}` },
    })
    const report = await resetAndSeed(optionsFor(database, { tables: [workspaces, manyTenants, many] }))
    expect(report.rows).toBe(100_003)
    expect(await countsOf()).toEqual([{ workspaces: 3, tenants: 15_000, assignments: 85_000 }])
  })
})

describe('two resets of one database at once', () => {
  it('are one reset: the second is refused and changes nothing', async () => {
    let second: Promise<unknown> | null = null
    const migrate = async ({ url }: { url: string }) => {
      second = resetAndSeed(optionsFor(database)).catch((error: unknown) => error)
      await second
      await execute(url, HOST_SCHEMA)
    }
    await resetAndSeed(optionsFor(database, { migrate }))
    expect(await second).toBeInstanceOf(ResetInProgressError)
    expect(await countsOf()).toEqual([{ workspaces: 3, tenants: 12, assignments: 24 }])
  })

  it('run one after the other when the second may wait', async () => {
    let second: Promise<unknown> | null = null
    const migrate = async ({ url }: { url: string }) => {
      second = resetAndSeed(optionsFor(database, { lockWaitMs: 20_000, seed: 2 }))
      await waitUntilBlocked(database.pool(), { applicationName: 'opsledger-seed' })
      await execute(url, HOST_SCHEMA)
    }
    await resetAndSeed(optionsFor(database, { migrate }))
    await expect(second).resolves.toMatchObject({ rows: 39 })
  })
})
