import type pg from 'pg'
import { quoteTable } from '../database/names.ts'
import { ResetBlockedError } from '../errors.ts'

/**
 * Tables in which migration tools remember what they did, by name without schema: emptied, they would run
 * everything again. Kept when truncating; `keep` adds to them.
 */
const MIGRATION_TABLES =
  /^(kysely_migration(_lock)?|knex_migrations(_lock)?|pgmigrations|schema_migrations|_prisma_migrations|__drizzle_migrations|__diesel_schema_migrations|flyway_schema_history|databasechangelog(lock)?|typeorm_metadata|SequelizeMeta|goose_db_version|migrations|(core|dedupe)_migration)$/

export interface TruncatePlan {
  /** Children before their parents. */
  readonly tables: readonly string[]
  readonly kept: readonly string[]
}

interface TableRow {
  readonly name: string
  readonly table: string
  readonly isExtensionMember: boolean
}

/** Partitions go with their parent, the tables of extensions stay. */
const TABLES = `
  select format('%s.%s', n.nspname, c.relname) as name, c.relname::text as "table", exists (
    select from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  ) as "isExtensionMember"
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition
  order by 1`

const REFERENCES = `
  select distinct format('%s.%s', cn.nspname, c.relname) as child, format('%s.%s', pn.nspname, p.relname) as parent
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
  join pg_catalog.pg_class p on p.oid = k.confrelid join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
  where k.contype = 'f' and k.conparentid = 0
    and format('%s.%s', pn.nspname, p.relname) = any($1::text[])`

/**
 * What `truncate` empties beside the tables it is told and should not: partitions and inheriting tables of other
 * schemas, of `keep`, and foreign ones, whose rows are another server's.
 */
const TAKEN_ALONG = `
  with recursive family (oid) as (
    select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where format('%s.%s', n.nspname, c.relname) = any($1::text[])
    union
    select i.inhrelid from pg_catalog.pg_inherits i join family f on i.inhparent = f.oid
  )
  select format('%s.%s', n.nspname, c.relname) as name,
    case when c.relkind = 'f' then 'foreign table' when c.relispartition then 'partition' else 'table' end as what
  from family join pg_catalog.pg_class c using (oid) join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'f' or n.nspname <> all($2::text[]) or format('%s.%s', n.nspname, c.relname) = any($3::text[])
    or not (c.relispartition or format('%s.%s', n.nspname, c.relname) = any($1::text[]))
  order by 1`

/** @throws ResetBlockedError when a table that stays points to one that would be emptied */
export async function planTruncate(
  client: pg.Client,
  schemas: readonly string[],
  keep: readonly string[],
): Promise<TruncatePlan> {
  const { rows } = await client.query<TableRow>(TABLES, [schemas])
  const stays = ({ name, table, isExtensionMember }: TableRow) =>
    isExtensionMember || keep.includes(name) || MIGRATION_TABLES.test(table)
  const kept = rows.filter(stays).map(({ name }) => name)
  const names = rows.filter((row) => !stays(row)).map(({ name }) => name)
  const taken = (await client.query<{ name: string; what: string }>(TAKEN_ALONG, [names, schemas, keep])).rows
  if (taken.length > 0) {
    throw new ResetBlockedError(
      taken.map(({ name, what }) => `${what} ${name} would be emptied with its parent`),
      'Detach it, or keep the parent too.',
    )
  }
  const references = (await client.query<{ child: string; parent: string }>(REFERENCES, [names])).rows
  const outside = references.filter(({ child }) => !names.includes(child))
  if (outside.length > 0) {
    const dependents = outside.map(({ child, parent }) => `table ${child} points to ${parent}`)
    throw new ResetBlockedError(
      dependents,
      'Empty both (leave the first out of `keep`, add its schema), or keep both.',
    )
  }
  return { tables: childrenFirst(names, references), kept }
}

/** One statement, so the order is for the reader: no table is ever empty under a child with rows. */
export async function truncateTables(client: pg.Client, tables: readonly string[]): Promise<void> {
  if (tables.length === 0) return
  await client.query(`truncate ${tables.map(quoteTable).join(', ')} restart identity`)
}

function childrenFirst(
  names: readonly string[],
  references: readonly { child: string; parent: string }[],
): string[] {
  const ordered: string[] = []
  const visit = (name: string, path: readonly string[]) => {
    if (ordered.includes(name) || path.includes(name)) return
    for (const { child, parent } of references) if (parent === name) visit(child, [...path, name])
    ordered.push(name)
  }
  for (const name of names) visit(name, [])
  return ordered
}
