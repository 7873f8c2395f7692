import type pg from 'pg'
import { insertRow, type Row } from './rows.ts'

/** A row that breaks one rule of the schema: a constraint's name, a unique index's, or `table.column is not null`. */
export interface RefusedRow {
  readonly rule: string
  readonly table: string
  readonly row: Row
  /** What is there already. */
  readonly besides?: Row
}

/** Every rule that the tables and domains of the schema state, read off the catalog. */
export async function rulesOf(pool: pg.Pool, tables: readonly string[]): Promise<string[]> {
  const { rows } = await pool.query<{ rule: string }>(
    `with own as (
       select oid, conname, contypid from pg_constraint
       where contype <> 'n' and (
         conrelid in (select unnest($1::regclass[]))
         or contypid in (
           select a.atttypid from pg_attribute a where a.attrelid in (select unnest($1::regclass[]))))
     ), carried as (
       -- a CHECK that only calls a function states no rule itself: the function does
       select d.objid as carrier, p.prosrc as source from pg_depend d join pg_proc p on p.oid = d.refobjid
       where d.classid = 'pg_constraint'::regclass and d.refclassid = 'pg_proc'::regclass
         and d.objid in (select oid from own where contypid = 0)
     )
     select conname as rule from own where oid not in (select carrier from carried)
     union
     select m[1] from carried, regexp_matches(source, 'then ''(\\w+_\\w+)''', 'g') as m
     union
     select c.relname || '.' || a.attname || ' is not null'
     from pg_attribute a join pg_class c on c.oid = a.attrelid
     where c.oid in (select unnest($1::regclass[])) and a.attnum > 0 and a.attnotnull
     union
     select indexrelid::regclass::text from pg_index
     where indrelid in (select unnest($1::regclass[])) and indisunique
       and not exists (select from pg_constraint where conindid = indexrelid)
     order by rule`,
    [tables.map((table) => `opsledger.${table}`)],
  )
  return rows.map(({ rule }) => rule.replace('opsledger.', ''))
}

/** The tables that a package's migrations made, without the lists of the migrations themselves. */
export async function tablesOf(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = 'opsledger'::regnamespace and relkind in ('r', 'p')
       and relname !~ '_migration(_lock)?$' order by 1`,
  )
  return rows.map(({ name }) => name)
}

/** Which rule refused the row; null when it was accepted. With `without`, that rule is taken away first. */
export async function refusalOf(
  pool: pg.Pool,
  { table, row, besides }: RefusedRow,
  { without }: { without?: string } = {},
): Promise<string | null> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    if (besides !== undefined) await insertRow(client, table, besides)
    if (without !== undefined) await client.query(await removalOf(client, table, without))
    await insertRow(client, table, row)
    await client.query('set constraints all immediate')
    return null
  } catch (error) {
    const { code, constraint, column, message } = error as pg.DatabaseError
    if (code === '23502') return `${table}.${column} is not null`
    return constraint ?? message
  } finally {
    await client.query('rollback')
    client.release()
  }
}

async function removalOf(client: pg.ClientBase, table: string, rule: string): Promise<string> {
  const column = rule.match(/\.(\w+) is not null$/)?.[1]
  if (column !== undefined) {
    return `alter table opsledger.${table} drop constraint if exists ${await primaryKeyWith(client, table, column)},
      alter column ${column} drop not null`
  }
  const definition = await functionWith(client, rule)
  if (definition !== null) {
    const [before, after] = definition.split(`then '${rule}'`) as [string, string]
    const at = before.lastIndexOf('when not (')
    return `${before.slice(0, at)}when false and ${before.slice(at + 'when '.length)}then '${rule}'${after}`
  }
  const { rows } = await client.query<{ domain: string | null }>(
    `select nullif(contypid, 0)::regtype::text as domain from pg_constraint
     where conname = $1 and connamespace = 'opsledger'::regnamespace`,
    [rule],
  )
  if (rows.length === 0) return `drop index opsledger.${rule}`
  const { domain } = rows[0]!
  if (domain !== null) return `alter domain ${domain} drop constraint ${rule}`
  return `alter table opsledger.${table} drop constraint ${rule}`
}

/** The function that states this rule of a row; null when none does. */
async function functionWith(client: pg.ClientBase, rule: string): Promise<string | null> {
  const { rows } = await client.query<{ definition: string }>(
    `select pg_get_functiondef(oid) as definition from pg_proc
     where pronamespace = 'opsledger'::regnamespace and strpos(prosrc, $1) > 0`,
    [`then '${rule}'`],
  )
  return rows[0]?.definition ?? null
}

/** A column of the primary key cannot be made nullable before the key is gone. */
async function primaryKeyWith(client: pg.ClientBase, table: string, column: string): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `select c.conname as name from pg_constraint c
     join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
     where c.conrelid = $1::regclass and c.contype = 'p' and a.attname = $2`,
    [`opsledger.${table}`, column],
  )
  return rows[0]?.name ?? 'there_is_none'
}
