import type pg from 'pg'

/**
 * Everything that a schema consists of, one line each and in order, with the schema's own name replaced: relations
 * with their options and owners' grants, columns, constraints, indexes, sequences, types, functions, comments, and
 * the names of the applied migrations.
 */
export async function catalogOf(pool: pg.Pool, schema = 'opsledger'): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `with s as (select $1::text::regnamespace::oid as oid), line as (
       select format('relation %s %s persistence=%s %s %s', c.relkind, c.relname, c.relpersistence, c.reloptions,
         c.relacl) as line
       from pg_class c, s where c.relnamespace = s.oid
       union all
       select format('column %s.%s %s %s notnull=%s default=%s %s', c.relname, a.attnum, a.attname,
         format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attstorage)
       from pg_attribute a join pg_class c on c.oid = a.attrelid
       left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum, s
       where c.relnamespace = s.oid and c.relkind in ('r', 'c') and a.attnum > 0
       union all
       select format('constraint %s on %s %s valid=%s', k.conname, coalesce(nullif(k.conrelid, 0)::regclass::text,
         nullif(k.contypid, 0)::regtype::text), pg_get_constraintdef(k.oid), k.convalidated)
       from pg_constraint k, s where k.connamespace = s.oid
       union all
       select format('index %s', pg_get_indexdef(i.indexrelid))
       from pg_index i join pg_class c on c.oid = i.indexrelid, s where c.relnamespace = s.oid
       union all
       select format('sequence %s %s', q.sequencename, to_jsonb(q) - 'schemaname' - 'sequenceowner')
       from pg_sequences q where q.schemaname = $1::text
       union all
       select format('type %s %s %s notnull=%s base=%s labels=%s', t.typtype, t.typname, t.typacl, t.typnotnull,
         nullif(t.typbasetype, 0)::regtype,
         (select array_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
       from pg_type t, s where t.typnamespace = s.oid
       union all
       select format('function %s %s', p.proacl, pg_get_functiondef(p.oid))
       from pg_proc p, s where p.pronamespace = s.oid
       union all
       select format('trigger %s', pg_get_triggerdef(t.oid))
       from pg_trigger t join pg_class c on c.oid = t.tgrelid, s where c.relnamespace = s.oid
       union all
       select format('comment %s', o.description) from pg_description o join pg_class c on c.oid = o.objoid, s
       where c.relnamespace = s.oid
       union all
       select format('schema acl=%s', n.nspacl) from pg_namespace n, s where n.oid = s.oid
     )
     select line from line order by line collate "C"`,
    [schema],
  )
  const { rows: tables } = await pool.query<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = $1::regnamespace and relkind = 'r' and relname like '%\\_migration' order by 1`,
    [schema],
  )
  const applied: string[] = []
  for (const { name } of tables) {
    const { rows: names } = await pool.query<{ name: string }>(
      `select name from "${schema}"."${name}" order by 1`,
    )
    applied.push(`${name}: ${names.map((row) => row.name).join(', ')}`)
  }
  return [
    ...rows.map(({ line }) => line.replaceAll(new RegExp(`\\b${schema}\\b`, 'g'), 'SCHEMA')),
    ...applied,
  ]
}
