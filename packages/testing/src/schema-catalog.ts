import pg from 'pg'

/**
 * What a schema consists of, one line each and in order: relations with their options and rights, columns,
 * constraints, indexes, sequences, types, functions, triggers, comments on relations and columns, and the names of the
 * applied migrations. The schema's own name is replaced, so that equal schemas give equal lines whatever they are
 * called. What the tables hold, how far a sequence has counted and what was dropped is no part of it.
 */
export async function catalogOf(database: pg.Pool | pg.ClientBase, schema = 'opsledger'): Promise<string[]> {
  const { rows } = await database.query<{ line: string }>(PARTS, [schema])
  const named = new RegExp(`\\b${schema}\\b`, 'g')
  return [
    ...rows.map(({ line }) => line.replaceAll(named, 'SCHEMA')),
    ...(await appliedMigrations(database, schema)),
  ]
}

const PARTS = `
  with schema as (select $1::text::regnamespace::oid as oid),
  relation as (select c.* from pg_class c, schema where c.relnamespace = schema.oid),
  part as (
    select format('schema, rights %s', n.nspacl) as line
    from pg_namespace n, schema where n.oid = schema.oid
    union all
    select format('relation %s %s, persistence %s, options %s, rights %s', r.relkind, r.relname, r.relpersistence,
      r.reloptions, r.relacl)
    from relation r
    union all
    select format('column %s of %s: %s %s, not null %s, default %s, storage %s', a.attnum, r.relname, a.attname,
      format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attstorage)
    from relation r join pg_attribute a on a.attrelid = r.oid
    left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    where r.relkind in ('r', 'p', 'c') and a.attnum > 0 and not a.attisdropped
    union all
    select format('constraint %s of %s: %s', n.conname,
      coalesce(nullif(n.conrelid, 0)::regclass::text, nullif(n.contypid, 0)::regtype::text),
      pg_get_constraintdef(n.oid))
    from pg_constraint n, schema where n.connamespace = schema.oid
    union all
    select format('index: %s, valid %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
    from relation r join pg_index i on i.indexrelid = r.oid
    union all
    select format('sequence %s: %s', q.sequencename, to_jsonb(q) - '{schemaname,sequenceowner,last_value}'::text[])
    from pg_sequences q where q.schemaname = $1::text
    union all
    select format('type %s %s, rights %s, not null %s, base %s, labels %s', t.typtype, t.typname, t.typacl,
      t.typnotnull, nullif(t.typbasetype, 0)::regtype,
      (select array_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
    from pg_type t, schema where t.typnamespace = schema.oid
    union all
    select format('function, rights %s: %s', p.proacl, pg_get_functiondef(p.oid))
    from pg_proc p, schema where p.pronamespace = schema.oid
    union all
    select format('trigger: %s', pg_get_triggerdef(t.oid))
    from relation r join pg_trigger t on t.tgrelid = r.oid
    union all
    select format('comment on %s, column %s: %s', r.relname, d.objsubid, d.description)
    from relation r join pg_description d on (d.classoid, d.objoid) = ('pg_class'::regclass, r.oid)
  )
  select line from part order by line collate "C"`

/** Each package keeps the names of its migrations in a table of its own. */
async function appliedMigrations(database: pg.Pool | pg.ClientBase, schema: string): Promise<string[]> {
  const { rows: tables } = await database.query<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = $1::regnamespace and relkind = 'r' and relname like '%\\_migration' order by relname`,
    [schema],
  )
  const applied: string[] = []
  for (const { name: table } of tables) {
    const { rows } = await database.query<{ name: string }>(
      `select name from ${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)} order by name collate "C"`,
    )
    applied.push(...rows.map(({ name }) => `applied: ${table} ${name}`))
  }
  return applied
}
