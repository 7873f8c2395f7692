import type pg from 'pg'

/**
 * What makes `public` empty: everything directly in it that is not part of an extension, a partition or
 * another object. `public` itself stays, with its owner, its grants and the extensions installed in it,
 * because a new schema of that name would lack them.
 */
const OBJECTS = `
  select case o.type when 'statistics object' then 'statistics' else o.type end as type, o.identity
  from pg_catalog.pg_depend d
  cross join lateral pg_identify_object(d.classid, d.objid, 0) o
  where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = 'public'::regnamespace
    and d.deptype = 'n'
    and d.classid <> 'pg_catalog.pg_extension'::regclass and d.classid <> 'pg_catalog.pg_default_acl'::regclass
    and not exists (
      select from pg_catalog.pg_depend x
      where x.classid = d.classid and x.objid = d.objid and x.deptype in ('e', 'i', 'a', 'P')
        and (x.refclassid, x.refobjid) <> (d.classid, d.objid)
    )
  order by 1, 2`

/** One statement per object; `if exists`, because dropping one may take the next along. */
export async function emptyPublicStatements(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ type: string; identity: string }>(OBJECTS)
  return rows.map(({ type, identity }) => `drop ${type} if exists ${identity} cascade`)
}
