import { ResetRefusedError, resetAndSeed } from '@opsledger/seed'
import { type Kysely, sql } from 'kysely'
import type { HostTables } from '../../app/host-schema.ts'
import plan, { POLICIES, REMOVED_PER_ARCHIVE } from '../../app/seed.config.ts'
import type { Scene } from './scene.ts'

const TENANTS = 4
const SEEDED = {
  workspaces: 2,
  tenants: TENANTS,
  policies: TENANTS * POLICIES.length,
  assignments: TENANTS * REMOVED_PER_ARCHIVE,
  adapter_runs: 12,
}

export const reset: Scene = {
  shows: 'a clean database is migrated and seeded in one go, and one that nobody named is refused',
  async play({ database, seeded, db, boss, draw }, expect) {
    expect('rows in the tables', await rowsIn(db), SEEDED)
    const written = Object.fromEntries(seeded.tables.map(({ name, rows }) => [name.split('.')[1], rows]))
    expect('rows in the report', written, SEEDED)
    const { rows: wrong } = await sql`
      select id from tenants
      where external_id is null or workspace_id is null
        or external_id::text !~ '^.{8}-.{4}-4.{3}-[89ab].{3}-.{12}$'`.execute(db)
    expect('tenants without a UUID v4 as external id, or without a workspace', wrong, [])
    expect('queues', (await boss.getQueues()).length, 3)

    // The plan names the databases of this application, and this is none of them.
    const refused = await resetAndSeed({ ...plan, connection: database.url }).catch((error: unknown) => error)
    const reasons = refused instanceof ResetRefusedError ? refused.reasons : [`not refused: ${refused}`]
    draw.detail(`refused: ${reasons.join('; ')}`)
    expect('a reset that is not allowed', refused instanceof ResetRefusedError, true)
    expect('rows afterwards', await rowsIn(db), SEEDED)
  },
}

async function rowsIn(db: Kysely<HostTables>): Promise<Record<string, number>> {
  const counted = Object.keys(SEEDED).map(async (table) => {
    const { rows } = await sql<{ count: string }>`select count(*) from ${sql.table(table)}`.execute(db)
    return [table, Number(rows[0]!.count)] as const
  })
  return Object.fromEntries(await Promise.all(counted))
}
