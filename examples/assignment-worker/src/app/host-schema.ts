import type { ColumnType, Generated, Kysely } from 'kysely'

/** A 64-bit number: the driver reads it as text. */
type Fence = ColumnType<string, number, number>

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
    /** Of the attempt that wrote the row: a late writer whose claim was taken over changes nothing. */
    fence: ColumnType<string, number | undefined, number>
  }
  /** A session at the provider, opened by one attempt of a run. */
  adapter_runs: {
    id: string
    run_id: string
    fence: Fence
    workspace_id: string
    tenant_id: string
    started_at: Generated<Date>
    ended_at: Date | null
    ended_by: 'worker' | 'reconcile' | null
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
    .addUniqueConstraint('tenants_in_workspace', ['id', 'workspace_id'])
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
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('run_id', 'uuid', (column) => column.notNull())
    .addColumn('fence', 'bigint', (column) => column.notNull())
    .addColumn('workspace_id', 'uuid', (column) => column.notNull())
    .addColumn('tenant_id', 'uuid', (column) => column.notNull())
    .addColumn('started_at', 'timestamptz', (column) => column.notNull().defaultTo(db.fn('clock_timestamp')))
    .addColumn('ended_at', 'timestamptz')
    .addColumn('ended_by', 'text')
    .addForeignKeyConstraint('adapter_runs_tenant', ['tenant_id', 'workspace_id'], 'tenants', [
      'id',
      'workspace_id',
    ])
    .execute()
}
