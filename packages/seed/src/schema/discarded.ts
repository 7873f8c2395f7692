import type pg from 'pg'

/** The tables of the schemas, with the planner's estimate of their rows; reads only. */
export async function readDiscarded(
  client: pg.Client,
  schemas: readonly string[],
): Promise<{ name: string; estimatedRows: number | null }[]> {
  const { rows } = await client.query<{ name: string; estimatedRows: number | null }>(
    `select format('%s.%s', n.nspname, c.relname) as name,
       case when c.reltuples >= 0 then c.reltuples::float8 end as "estimatedRows"
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition
     order by 1`,
    [schemas],
  )
  return rows
}
