import type pg from 'pg'
import type { Catalog, CatalogColumn, CatalogTable, ForeignKey, UniqueKey } from './catalog.ts'

/**
 * Every relation of the schemas that can be named in a plan. Reads only, takes no lock beyond the catalog's.
 */
const RELATIONS = `
  select format('%s.%s', n.nspname, c.relname) as name, c.relkind as kind
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = any($1::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  order by 1`

/** The columns of the named tables, with the type behind each domain. */
const COLUMNS = `
  select format('%s.%s', n.nspname, c.relname) as "table", a.attname as name,
    format_type(a.atttypid, -1) as "cast", format_type(a.atttypid, a.atttypmod) as type,
    t.typname as base, t.typcategory = 'A' as "isArray", b.oid <> a.atttypid as "isDomain",
    a.attnotnull or b.is_not_null as "isNotNull",
    a.atthasdef or a.attidentity <> '' or b.has_default as "isFilled",
    a.attgenerated <> '' as "isGenerated",
    case when t.typname in ('varchar', 'bpchar') and b.typmod > 4 then b.typmod - 4 end as "maxLength",
    case when t.typtype = 'e' then (
      select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid
    ) end as "enumLabels",
    pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) as sequence
  from pg_catalog.pg_attribute a
  join pg_catalog.pg_class c on c.oid = a.attrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    with recursive chain (oid, typmod, is_not_null, has_default) as (
      select a.atttypid, a.atttypmod, false, false
      union all
      select d.typbasetype, d.typtypmod, d.typnotnull, d.typdefault is not null
      from chain join pg_catalog.pg_type d on d.oid = chain.oid and d.typtype = 'd'
    )
    select (array_agg(oid order by depth desc))[1] as oid, max(typmod) as typmod,
      bool_or(is_not_null) as is_not_null, bool_or(has_default) as has_default
    from (select row_number() over () as depth, * from chain) numbered
  ) b
  join pg_catalog.pg_type t on t.oid = b.oid
  where format('%s.%s', n.nspname, c.relname) = any($1::text[]) and c.relkind in ('r', 'p')
    and a.attnum > 0 and not a.attisdropped
  order by 1, a.attnum`

/**
 * Unique indexes that speak of all rows by plain columns; partial ones and expressions cannot be checked
 * outside.
 */
const UNIQUE_KEYS = `
  select format('%s.%s', n.nspname, c.relname) as "table", x.relname as name,
    (select array_agg(a.attname::text order by k.ordinality)
     from unnest(i.indkey::int2[]) with ordinality k (attnum, ordinality)
     join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
     where k.ordinality <= i.indnkeyatts) as columns,
    coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) as "nullsNotDistinct"
  from pg_catalog.pg_index i
  join pg_catalog.pg_class x on x.oid = i.indexrelid
  join pg_catalog.pg_class c on c.oid = i.indrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where format('%s.%s', n.nspname, c.relname) = any($1::text[])
    and i.indisunique and not i.indisexclusion and i.indpred is null and i.indexprs is null
  order by 1, i.indisprimary desc, 2`

const FOREIGN_KEYS = `
  select format('%s.%s', n.nspname, c.relname) as "table", format('%I.%I', n.nspname, k.conname) as "constraint",
    format('%s.%s', pn.nspname, p.relname) as parent, k.condeferrable as "isDeferrable",
    k.confmatchtype = 'f' as "isFull",
    (select array_agg(a.attname::text order by u.ordinality) from unnest(k.conkey) with ordinality u (attnum, ordinality)
     join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum) as columns,
    (select array_agg(a.attname::text order by u.ordinality) from unnest(k.confkey) with ordinality u (attnum, ordinality)
     join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum) as "parentColumns"
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_class p on p.oid = k.confrelid join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
  where k.contype = 'f' and format('%s.%s', n.nspname, c.relname) = any($1::text[])
    and not coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false)
    and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
  order by 1, k.conname`

type OfTable<T> = T & { readonly table: string }

export async function readCatalog(
  client: pg.Client,
  schemas: readonly string[],
  tables: readonly string[],
): Promise<Catalog> {
  const rows = async <T extends object>(sql: string, values: readonly string[]): Promise<T[]> =>
    (await client.query<T>(sql, [values])).rows
  const version = await client.query<{ number: number }>(
    `select current_setting('server_version_num')::int as number`,
  )
  const relations = await rows<{ name: string; kind: string }>(RELATIONS, schemas)
  const columns = await rows<OfTable<CatalogColumn>>(COLUMNS, tables)
  const uniqueKeys = await rows<OfTable<UniqueKey>>(UNIQUE_KEYS, tables)
  const foreignKeys = await rows<OfTable<ForeignKey>>(FOREIGN_KEYS, tables)
  const of = <T>(name: string, list: readonly OfTable<T>[]) => list.filter(({ table }) => table === name)
  const found = new Map<string, CatalogTable>()
  for (const { name, kind } of relations) {
    if (!tables.includes(name) || !(kind === 'r' || kind === 'p')) continue
    found.set(name, {
      name,
      columns: new Map(of(name, columns).map((column) => [column.name, column])),
      uniqueKeys: of(name, uniqueKeys),
      foreignKeys: of(name, foreignKeys),
    })
  }
  return {
    versionNumber: version.rows[0]!.number,
    tables: found,
    relations: new Map(relations.map(({ name, kind }) => [name, kind])),
  }
}
