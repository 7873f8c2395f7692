import pg from 'pg'

export interface SeededTable {
  /** `schema.table` */
  readonly name: string
  readonly rows: number
}

const UUID_V4 = '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'

/** What is wrong with a seeded database, in sentences. It asks the database itself and trusts no report. */
export async function seedProblems(client: pg.Client, tables: readonly SeededTable[]): Promise<string[]> {
  const problems: string[] = []
  for (const table of tables) {
    const rows = await count(client, `select count(*) from ${quoted(table.name)}`)
    if (rows !== table.rows) problems.push(`${table.name} holds ${rows} rows instead of ${table.rows}`)
    if (rows === 0) problems.push(`${table.name} is empty`)
    for (const column of await requiredColumns(client, table.name)) {
      const value = pg.escapeIdentifier(column)
      const unfilled = await count(
        client,
        `select count(*) from ${quoted(table.name)} where ${value} is null or btrim(${value}::text) = ''`,
      )
      if (unfilled > 0) problems.push(`${unfilled} rows of ${table.name} have nothing in ${column}`)
    }
  }
  const tenants = tables.find(({ name }) => name.endsWith('.tenants'))
  if (tenants === undefined) return [...problems, 'no table of tenants is seeded']
  const wrongId = await count(
    client,
    `select count(*) from ${quoted(tenants.name)} where external_id is null or external_id::text !~ '${UUID_V4}'`,
  )
  if (wrongId > 0) problems.push(`${wrongId} tenants have an external_id that is no UUID of version 4`)
  const homeless = await count(
    client,
    `select count(*) from ${quoted(tenants.name)} where workspace_id is null`,
  )
  if (homeless > 0) problems.push(`${homeless} tenants have no workspace_id`)
  return problems
}

/** Every row of every table as text, in an order that does not change. */
export async function contentsOf(client: pg.Client, tables: readonly SeededTable[]): Promise<string> {
  const texts: string[] = []
  for (const { name } of tables) {
    const { rows } = await client.query<{ row: string }>(
      `select to_jsonb(seeded)::text as row from ${quoted(name)} as seeded order by 1`,
    )
    texts.push(name, ...rows.map(({ row }) => row))
  }
  return texts.join('\n')
}

/** By the catalog: those that must not be null. */
async function requiredColumns(client: pg.Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ column: string }>(
    `select attname as column from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attnotnull order by attnum`,
    [quoted(table)],
  )
  return rows.map(({ column }) => column)
}

async function count(client: pg.Client, query: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(query)
  return Number(rows[0]!.count)
}

function quoted(table: string): string {
  return table.split('.').map(pg.escapeIdentifier).join('.')
}
