import type pg from 'pg'

/** The parts of the ledger's schema, one line each and in order: equal schemas give equal lines. */
export async function catalogOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ part: string }>(PARTS)
  return rows.map(({ part }) => part)
}

const PARTS = `
  with schema as (select 'opsledger'::regnamespace::oid as oid), part as (
    select format('%s %s, %s, options %s, rights %s', c.relkind, c.oid::regclass, c.relpersistence, c.reloptions,
      c.relacl) as part
    from pg_class c, schema where c.relnamespace = schema.oid
    union all
    select format('column %s of %s: %s %s, not null %s, default %s', a.attnum, c.oid::regclass, a.attname,
      format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
    from pg_attribute a join pg_class c on c.oid = a.attrelid
    left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum), schema
    where c.relnamespace = schema.oid and a.attnum > 0 and not a.attisdropped
    union all
    select format('constraint %s of %s: %s, valid %s', n.conname, n.conrelid::regclass, pg_get_constraintdef(n.oid),
      n.convalidated)
    from pg_constraint n, schema where n.connamespace = schema.oid
    union all
    select format('index: %s, valid %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
    from pg_index i join pg_class c on c.oid = i.indexrelid, schema where c.relnamespace = schema.oid
    union all
    select format('sequence %s: %s', q.sequencename, to_jsonb(q)) from pg_sequences q where q.schemaname = 'opsledger'
    union all
    select format('type %s: %s, labels %s', t.typname, t.typtype,
      (select array_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid))
    from pg_type t, schema where t.typnamespace = schema.oid
    union all
    select format('function, rights %s: %s', p.proacl, pg_get_functiondef(p.oid))
    from pg_proc p, schema where p.pronamespace = schema.oid
    union all
    select format('trigger: %s', pg_get_triggerdef(t.oid))
    from pg_trigger t join pg_class c on c.oid = t.tgrelid, schema where c.relnamespace = schema.oid
    union all
    select format('applied: core/%s', name) from opsledger.core_migration
    union all
    select format('applied: dedupe/%s', name) from opsledger.dedupe_migration
  )
  select part from part order by part collate "C"`
