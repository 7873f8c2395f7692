import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { catalogOf } from '../src/index.ts'
import { useDatabase } from '../src/vitest/index.ts'

const schemaNamed = (name: string) => `
  create schema ${name};
  create type ${name}.outcome as enum ('good', 'bad');
  create domain ${name}.amount as integer constraint is_positive check (value >= 0);
  create sequence ${name}.fence cache 1;
  create table ${name}.run (id integer primary key, outcome ${name}.outcome, amount ${name}.amount, note text);
  alter table ${name}.run add constraint is_small check (id < 9) not valid;
  comment on column ${name}.run.id is 'given by the library';
  create index run_by_outcome on ${name}.run (outcome);
  create table ${name}.item (id integer) partition by list (id);
  create table ${name}.item_1 partition of ${name}.item for values in (1);
  create index item_by_id on only ${name}.item (id);
  create index item_1_by_id on ${name}.item_1 (id);
  create function ${name}.look() returns trigger language plpgsql as $$ begin return new; end $$;
  create trigger looks before insert on ${name}.run for each row execute function ${name}.look();
  create table ${name}.core_migration (name text primary key);
  insert into ${name}.core_migration values ('0001_first')`

const prepare = async (url: string) => {
  const client = new pg.Client(url)
  await client.connect()
  await client.query(schemaNamed('opsledger'))
  await client.end()
}

describe('the catalog of a schema', () => {
  const database = useDatabase({ template: 'schema-catalog', prepare })

  /** The lines that a change adds and takes away; the change itself is rolled back. */
  const differenceOf = async (change: string) => {
    const client = await database.pool().connect()
    try {
      const before = await catalogOf(client)
      await client.query('begin')
      await client.query(change)
      const after = await catalogOf(client)
      return {
        added: after.filter((line) => !before.includes(line)),
        gone: before.filter((line) => !after.includes(line)),
      }
    } finally {
      await client.query('rollback').finally(() => client.release())
    }
  }

  test.each([
    'alter table opsledger.run add column more text',
    'alter table opsledger.run alter column outcome set not null',
    `alter table opsledger.run alter column outcome set default 'good'`,
    'alter table opsledger.run alter column id type bigint',
    'alter table opsledger.run add constraint is_even check (id % 2 = 0) not valid',
    'alter table opsledger.run validate constraint is_small',
    'alter table opsledger.run alter column note set storage external',
    'alter table opsledger.run set (fillfactor = 70)',
    'alter table opsledger.run set unlogged',
    'grant select on opsledger.run to public',
    'grant usage on schema opsledger to public',
    'revoke execute on function opsledger.look() from public',
    'revoke usage on type opsledger.outcome from public',
    'create index run_by_amount on opsledger.run (amount)',
    'drop index opsledger.run_by_outcome; create index run_by_outcome on opsledger.run (outcome, id)',
    // It becomes valid.
    'alter index opsledger.item_by_id attach partition opsledger.item_1_by_id',
    'alter sequence opsledger.fence cache 20',
    `alter type opsledger.outcome add value 'unknown' before 'bad'`,
    // The same labels in another order.
    `alter type opsledger.outcome rename value 'good' to 'best';
     alter type opsledger.outcome rename value 'bad' to 'good';
     alter type opsledger.outcome rename value 'best' to 'bad'`,
    `alter domain opsledger.amount drop constraint is_positive;
     alter domain opsledger.amount add constraint is_positive check (value > 0)`,
    `create or replace function opsledger.look() returns trigger language plpgsql as 'begin return null; end'`,
    `create or replace trigger looks after insert on opsledger.run
     for each row execute function opsledger.look()`,
    `comment on column opsledger.run.id is 'given by the host'`,
    `insert into opsledger.core_migration values ('0002_second')`,
  ])('shows it: %s', async (change) => {
    const { added, gone } = await differenceOf(change)
    expect(added.length + gone.length).toBeGreaterThan(0)
  })

  test.each([
    `insert into opsledger.run values (1, 'good', 1, 'a note')`,
    `select nextval('opsledger.fence')`,
    'alter table opsledger.run add column more text; alter table opsledger.run drop column more',
    'create table public.other ()',
  ])('is not changed by what is no part of it: %s', async (change) => {
    expect(await differenceOf(change)).toEqual({ added: [], gone: [] })
  })

  test('is the same whatever the schema is called', async () => {
    await database.pool().query(schemaNamed('_second'))
    const catalog = await catalogOf(database.pool())
    expect(await catalogOf(database.pool(), '_second')).toEqual(catalog)
    expect(catalog).toContain('applied: core_migration 0001_first')
  })
})
