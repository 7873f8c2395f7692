import { serverMajor, useDatabase } from '@opsledger/testing/vitest'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type AnyTable,
  type Problem,
  type ResetAndSeedOptions,
  ref,
  resetAndSeed,
  serial,
  table,
  through,
  UnsatisfiedPlanError,
  uuid,
} from '../src/index.ts'
import { execute, HOST_SCHEMA, optionsFor, tenants, workspaces } from './support/host.ts'

const database = useDatabase()
const SUGGESTION = `name: ({ index }) => \`name \${index}\``

const SCHEMA = `${HOST_SCHEMA};
  create domain app.percent as int check (value between 0 and 100);
  create table app.limits (
    id int primary key, pair_a int, pair_b text, share app.percent, day date, price numeric(5, 2), tiny smallint,
    unique (pair_a, pair_b));
  create table app.eggs (id int primary key, hen_id int not null);
  create table app.hens (id int primary key, egg_id int not null references app.eggs);
  alter table app.eggs add constraint egg_of_hen foreign key (hen_id) references app.hens;
  create table app.folders (id int primary key, parent_id int references app.folders);
  create table app.country (code text primary key);
  insert into app.country values ('de');
  create view app.overview as select 1 as one`

async function problemsOf(
  tables: readonly AnyTable[],
  changes: Partial<ResetAndSeedOptions> = {},
): Promise<readonly Problem[]> {
  const migrate = ({ url }: { url: string }) => execute(url, SCHEMA)
  const error = await resetAndSeed(optionsFor(database, { tables, migrate, ...changes })).catch(
    (e: unknown) => e,
  )
  if (!(error instanceof UnsatisfiedPlanError))
    throw new Error(`Not refused: ${String(error)}`, { cause: error })
  return error.problems
}

/** Every table the plan could have written to is empty, whatever was wrong. */
async function countRows(): Promise<number> {
  const { rows } = await database.pool().query<{ rows: number }>(`select (
    (select count(*) from app.workspaces) + (select count(*) from app.tenants) + (select count(*) from app.limits) +
    (select count(*) from app.eggs) + (select count(*) from app.folders))::int as rows`)
  return rows[0]!.rows
}

beforeEach(() => execute(database.url, 'drop schema if exists app cascade'))
afterEach(async () => expect(await countRows()).toBe(0))

const workspaceColumns = { id: uuid.v4(), name: 'x', slug: ({ index }: { index: number }) => `s${index}` }
const tenantColumns = { id: serial(), workspace_id: ref(workspaces), external_id: uuid.v4(), name: 'x' }
const limits = (columns: Parameters<typeof table>[1]['columns'], count = 2) =>
  table('app.limits', { count, columns: { id: serial(), ...(columns as object) } })

describe('before a row is written', () => {
  it.each<[string, readonly AnyTable[], Partial<Problem>]>([
    [
      'a NOT NULL column without a default and without a value',
      [table('app.workspaces', { count: 2, columns: { id: uuid.v4(), slug: workspaceColumns.slug } })],
      {
        kind: 'missing_value',
        table: 'app.workspaces',
        column: 'name',
        fix: `Add ${SUGGESTION}`,
      },
    ],
    [
      'a null in a NOT NULL column',
      [
        table('app.workspaces', {
          count: 3,
          columns: { ...workspaceColumns, name: ({ index }) => (index > 0 ? null : 'x') },
        }),
      ],
      { kind: 'missing_value', column: 'name', rows: 2, firstRow: 1 },
    ],
    [
      'a missing value of a foreign key, with the reference to add',
      [
        workspaces,
        table('app.tenants', { count: 1, columns: { ...tenantColumns, workspace_id: undefined } }),
      ],
      { kind: 'missing_value', column: 'workspace_id', fix: "Add workspace_id: ref('app.workspaces', 'id')" },
    ],
    [
      'a parent that no row is',
      [
        workspaces,
        table('app.tenants', {
          count: 2,
          columns: { ...tenantColumns, workspace_id: '00000000-0000-4000-8000-000000000000' },
        }),
      ],
      {
        kind: 'missing_parent',
        column: 'workspace_id',
        rows: 2,
        fix: "Use workspace_id: ref('app.workspaces', 'id')",
      },
    ],
    [
      'a parent table that the plan lacks',
      [table('app.tenants', { count: 2, columns: { ...tenantColumns, workspace_id: uuid.v4() } })],
      { kind: 'missing_parent', column: 'workspace_id', fix: 'Add the table app.workspaces to the plan' },
    ],
    [
      'a reference to a table that the plan lacks',
      [table('app.tenants', { count: 2, columns: tenantColumns })],
      { kind: 'missing_parent', column: 'workspace_id', fix: 'Add the table app.workspaces to `tables`' },
    ],
    [
      'a reference to a number that the database would count',
      [
        workspaces,
        table('app.tenants', {
          count: 1,
          columns: { workspace_id: ref(workspaces), external_id: uuid.v4(), name: 'x' },
        }),
        table('app.assignments', { count: 1, columns: { tenant_id: ref('app.tenants') } }),
      ],
      { kind: 'missing_parent', table: 'app.assignments', column: 'tenant_id' },
    ],
    [
      'rows per row of a table that the plan lacks',
      [
        table('app.tenants', {
          per: workspaces,
          count: 2,
          columns: { ...tenantColumns, workspace_id: ({ parent }) => parent.id },
        }),
      ],
      { kind: 'missing_parent', table: 'app.tenants', column: null },
    ],
    [
      'two rows with one unique value',
      [table('app.workspaces', { count: 3, columns: { ...workspaceColumns, slug: 'same' } })],
      { kind: 'unique_clash', column: 'slug', rows: 2, firstRow: 1 },
    ],
    [
      'two rows with one key of two columns',
      [limits({ pair_a: 1, pair_b: 'x' })],
      { kind: 'unique_clash', column: 'pair_a, pair_b' },
    ],
    [
      'a key that a migration already wrote',
      [table('app.country', { rows: [{ code: 'de' }], columns: { code: 'fr' } })],
      { kind: 'unique_clash', table: 'app.country', column: 'code' },
    ],
    [
      'a UUID of another version',
      [workspaces, table('app.tenants', { count: 2, columns: { ...tenantColumns, external_id: uuid.v7() } })],
      {
        kind: 'wrong_uuid_version',
        table: 'app.tenants',
        column: 'external_id',
        rows: 2,
        fix: 'Use uuid.v4()',
      },
    ],
    [
      'a text that is too long',
      [table('app.workspaces', { count: 1, columns: { ...workspaceColumns, slug: 'x'.repeat(13) } })],
      { kind: 'too_long', column: 'slug', fix: 'Keep it within 12 characters' },
    ],
    [
      'an enum value that there is not',
      [table('app.workspaces', { count: 1, columns: { ...workspaceColumns, plan: 'gold' } })],
      { kind: 'unknown_enum_value', column: 'plan', fix: 'Use one of: free, team' },
    ],
    [
      'an unknown table',
      [table('app.users', { count: 1, columns: {} })],
      { kind: 'unknown_table', table: 'app.users' },
    ],
    [
      'a view',
      [table('app.overview', { count: 1, columns: {} })],
      { kind: 'unknown_table', message: 'is a view, not a table' },
    ],
    [
      'an unknown column',
      [table('app.workspaces', { count: 1, columns: { ...workspaceColumns, colour: 'red' } })],
      { kind: 'unknown_column', column: 'colour' },
    ],
    [
      'a value for a generated column',
      [workspaces, table('app.tenants', { count: 1, columns: { ...tenantColumns, shout: 'X' } })],
      { kind: 'generated_column', column: 'shout' },
    ],
    [
      'something that is no UUID',
      [table('app.workspaces', { count: 1, columns: { ...workspaceColumns, id: 'w-1' } })],
      { kind: 'invalid_value', column: 'id' },
    ],
    ['an integer out of range', [limits({ tiny: 40_000 })], { kind: 'invalid_value', column: 'tiny' }],
    ['a fraction for an integer', [limits({ tiny: 1.5 })], { kind: 'invalid_value', column: 'tiny' }],
    // Postgres says so without being asked to write since 16; before, it refuses the rows.
    ...(serverMajor() < 16
      ? []
      : ([
          [
            'a value outside its domain',
            [limits({ share: 101 })],
            { kind: 'invalid_value', column: 'share' },
          ],
          [
            'a day that there is not',
            [limits({ day: '2026-02-30' })],
            { kind: 'invalid_value', column: 'day' },
          ],
          [
            'a number that is too large',
            [limits({ price: 12345 })],
            { kind: 'invalid_value', column: 'price' },
          ],
        ] as [string, AnyTable[], Partial<Problem>][])),
    ['a NUL character', [limits({ pair_b: 'a\u0000' })], { kind: 'invalid_value', column: 'pair_b' }],
    ['an invalid Date', [limits({ day: new Date(Number.NaN) })], { kind: 'invalid_value', column: 'day' }],
    [
      'a function that throws',
      [
        table('app.workspaces', {
          count: 2,
          columns: {
            ...workspaceColumns,
            name: () => {
              throw new Error('oops')
            },
          },
        }),
      ],
      { kind: 'failed_generator', column: 'name', rows: 2, message: 'its value cannot be made: oops' },
    ],
    [
      'a path through a reference that is not there',
      [limits({ pair_a: through('nothing', 'id') })],
      { kind: 'failed_generator', column: 'pair_a' },
    ],
    [
      'tables that point in a circle by constraints that cannot wait',
      [
        table('app.eggs', { count: 1, columns: { id: serial(), hen_id: ref('app.hens') } }),
        table('app.hens', { count: 1, columns: { id: serial(), egg_id: ref('app.eggs') } }),
      ],
      {
        kind: 'reference_cycle',
        table: 'app.eggs',
        message: 'points in a circle: app.eggs → app.hens → app.eggs',
      },
    ],
    [
      'a row that points to a later one of its own table',
      [
        table('app.folders', {
          rows: [
            { id: 1, parent_id: 2 },
            { id: 2, parent_id: null },
          ],
          columns: { id: 0, parent_id: null as number | null },
        }),
      ],
      { kind: 'reference_cycle', table: 'app.folders', column: 'parent_id' },
    ],
  ])('reports %s', async (_, tables, expected) => {
    const problems = await problemsOf(tables)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject(expected)
    expect(problems[0]!.fix).not.toBe('')
  })

  it('reports everything at once, each with table, column and what to add', async () => {
    const problems = await problemsOf([
      table('app.workspaces', {
        count: 2,
        columns: { id: uuid.v4(), slug: 'much-too-long-and-twice', plan: 'gold', colour: 1 },
      }),
      table('app.tenants', {
        count: 1,
        columns: { id: serial(), workspace_id: uuid.v4(), external_id: uuid.v7(), shout: 'X' },
      }),
      table('app.users', { count: 1, columns: {} }),
    ])
    expect(problems.map(({ kind, table, column }) => `${kind} ${table} ${column}`).sort()).toEqual([
      'generated_column app.tenants shout',
      'missing_parent app.tenants workspace_id',
      'missing_value app.tenants name',
      'missing_value app.workspaces name',
      'too_long app.workspaces slug',
      'unique_clash app.workspaces slug',
      'unknown_column app.workspaces colour',
      'unknown_enum_value app.workspaces plan',
      'unknown_table app.users null',
      'wrong_uuid_version app.tenants external_id',
    ])
  })

  it('says in the error where each one is and that no row was written', async () => {
    const reset = resetAndSeed(
      optionsFor(database, {
        migrate: ({ url }) => execute(url, SCHEMA),
        tables: [
          table('app.workspaces', { count: 2, columns: { id: uuid.v4(), slug: workspaceColumns.slug } }),
        ],
      }),
    )
    await expect(reset).rejects.toMatchObject({
      code: 'unsatisfied_plan',
      message:
        'The plan leaves one thing open, and no row was written (the tables are migrated and hold none of the rows of the plan):\n' +
        '  - app.workspaces.name: is NOT NULL without a default, and the plan gives no value. ' +
        `Add ${SUGGESTION} [missing_value]`,
    })
  })
})

describe('the rules', () => {
  const plain = (columns: object) => table('app.limits', { count: 1, columns: { id: serial(), ...columns } })

  it('of `require` are held as the conventions are', async () => {
    const require = { 'app.limits': { pair_a: 'not null', pair_b: 'uuid.v4' } } as const
    const problems = await problemsOf([plain({ pair_b: 'w-1' })], { require })
    expect(problems.map(({ kind, column }) => `${kind} ${column}`).sort()).toEqual([
      'invalid_value pair_b',
      'missing_value pair_a',
    ])
  })

  it('may name a column that is not there, and say so', async () => {
    const problems = await problemsOf([plain({})], { require: { 'app.limits': { colour: 'not null' } } })
    expect(problems).toMatchObject([{ kind: 'unknown_column', column: 'colour' }])
  })

  it('can be lifted', async () => {
    const lax = table('app.tenants', {
      count: 1,
      columns: { ...tenantColumns, external_id: uuid.v7(), name: undefined },
    })
    const require = { 'app.tenants': { external_id: 'any' } } as const
    // The missing name shows that the check ran.
    expect(await problemsOf([workspaces, lax], { require })).toMatchObject([
      { kind: 'missing_value', column: 'name' },
    ])
  })

  it('mutant: a plan whose every rule is met is written', async () => {
    await resetAndSeed(
      optionsFor(database, { migrate: ({ url }) => execute(url, SCHEMA), tables: [workspaces, tenants] }),
    )
    expect(await countRows()).toBe(15)
    await execute(database.url, 'truncate app.workspaces, app.tenants, app.assignments')
  })
})
