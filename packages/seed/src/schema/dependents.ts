import type pg from 'pg'

/**
 * Everything that `drop schema … cascade` would take along and that lives elsewhere: views and foreign keys
 * of other schemas, columns of a type from here, defaults that count with a sequence from here. Follows
 * pg_depend as the server does, an internal part (`i`) to its whole as well. Reads only, takes no lock.
 */
const DEPENDENTS = `
  with recursive doomed (classid, objid, objsubid) as (
    select classid, objid, objsubid from (
      select 'pg_catalog.pg_namespace'::regclass::oid as classid, n.oid as objid, 0 as objsubid
      from pg_catalog.pg_namespace n where n.nspname = any($1::text[])
    ) roots
    union
    select next.classid, next.objid, next.objsubid
    from doomed cross join lateral (
      select d.classid, d.objid, d.objsubid from pg_catalog.pg_depend d
      where d.refclassid = doomed.classid and d.refobjid = doomed.objid
        and (doomed.objsubid = 0 or d.refobjsubid = doomed.objsubid)
      union all
      select d.refclassid, d.refobjid, d.refobjsubid from pg_catalog.pg_depend d
      where d.classid = doomed.classid and d.objid = doomed.objid and d.deptype = 'i'
    ) next
  )
  select distinct o.type || ' ' || o.identity as name
  from doomed
  left join pg_catalog.pg_constraint k on classid = 'pg_catalog.pg_constraint'::regclass and k.oid = objid
  left join pg_catalog.pg_attrdef f on classid = 'pg_catalog.pg_attrdef'::regclass and f.oid = objid
  left join pg_catalog.pg_class r on r.oid = coalesce(nullif(k.conrelid, 0), f.adrelid)
  left join pg_catalog.pg_namespace n on n.oid = r.relnamespace
  cross join lateral pg_identify_object(classid, objid, objsubid) o
  where o.type not in ('schema', 'extension', 'trigger', 'rule', 'index', 'toast table', 'default acl')
    and not coalesce(coalesce(o.schema, n.nspname) = any($1::text[]), true)
    and coalesce(o.schema, n.nspname) !~ '^pg_toast'
    and not (o.type in ('type', 'composite type') and exists (
      select from pg_catalog.pg_type t where t.oid = objid and (t.typrelid <> 0 or t.typelem <> 0)))
  order by 1`

export async function outsideDependents(client: pg.Client, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(DEPENDENTS, [schemas])
  return rows.map(({ name }) => name)
}
