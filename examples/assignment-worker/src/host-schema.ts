import type { Generated, Kysely } from 'kysely'

/** The host's own tables, as an existing application would have them; OpsLedger neither reads nor changes them. */
export interface HostTables {
  workspaces: { id: string; name: string }
  tenants: { id: string; external_id: string; workspace_id: string; name: string }
  /** `external_id` is what the provider calls it. */
  policies: { tenant_id: string; external_id: string; name: string }
  assignments: {
    tenant_id: string
    policy: string
    external_id: string
    target: string
    state: Generated<'active' | 'removed'>
    /** Fence of the attempt that wrote the row: a late writer whose claim was taken over changes nothing. */
    fence: Generated<number>
  }
  /** A session at the provider, by the id of the run that opened it. */
  adapter_runs: {
    run_id: string
    workspace_id: string
    tenant_id: string
    state: Generated<'open' | 'closed' | 'lost'>
  }
}

/** Safe to run again. */
export async function migrateHost(db: Kysely<HostTables>): Promise<void> {
  const create = (table: keyof HostTables) => db.schema.createTable(table).ifNotExists()
  await create('workspaces')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .execute()
  await create('tenants')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('external_id', 'uuid', (column) => column.notNull().unique())
    .addColumn('workspace_id', 'uuid', (column) => column.notNull().references('workspaces.id'))
    .addColumn('name', 'text', (column) => column.notNull())
    .execute()
  await create('policies')
    .addColumn('tenant_id', 'uuid', (column) => column.notNull().references('tenants.id'))
    .addColumn('external_id', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('policies_key', ['tenant_id', 'external_id'])
    .execute()
  await create('assignments')
    .addColumn('tenant_id', 'uuid', (column) => column.notNull())
    .addColumn('policy', 'text', (column) => column.notNull())
    .addColumn('external_id', 'text', (column) => column.notNull())
    .addColumn('target', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull().defaultTo('active'))
    .addColumn('fence', 'bigint', (column) => column.notNull().defaultTo(0))
    .addPrimaryKeyConstraint('assignments_key', ['tenant_id', 'policy', 'external_id'])
    .addForeignKeyConstraint('assignments_policy', ['tenant_id', 'policy'], 'policies', [
      'tenant_id',
      'external_id',
    ])
    .execute()
  await create('adapter_runs')
    .addColumn('run_id', 'uuid', (column) => column.primaryKey())
    .addColumn('workspace_id', 'uuid', (column) => column.notNull().references('workspaces.id'))
    .addColumn('tenant_id', 'uuid', (column) => column.notNull().references('tenants.id'))
    .addColumn('state', 'text', (column) => column.notNull().defaultTo('open'))
    .execute()
}
