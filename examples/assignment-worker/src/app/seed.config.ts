import { defineSeed, instant, ref, tableOf, through, uuid } from '@opsledger/seed'
import type { Insertable } from 'kysely'
import type { HostTables } from './host-schema.ts'
import { migrateApplication } from './migrate.ts'

/** The plan is checked against the types that the queries use. */
type Row<Table extends keyof HostTables> = Insertable<HostTables[Table]>

/** Of every tenant. One for each thing the demo shows, named after it. */
export const POLICIES = ['twice', 'flaky', 'archive', 'locked', 'takeover', 'orphan', 'handover'] as const

/** Assignments of each `archive` policy, all removed, for the restore to bring back. */
export const REMOVED_PER_ARCHIVE = 10

const WORKSPACES = 2
const TENANT_NAMES = ['North', 'South']

const workspaces = tableOf<Row<'workspaces'>>()('public.workspaces', {
  count: WORKSPACES,
  columns: { id: uuid.v4(), name: ({ index }) => `Workspace ${index + 1}` },
})

const tenants = tableOf<Row<'tenants'>>()('public.tenants', {
  per: workspaces,
  count: TENANT_NAMES.length,
  columns: {
    id: uuid.v4(),
    workspace_id: ({ parent }) => parent.id,
    external_id: uuid.v4(),
    name: ({ nth }) => TENANT_NAMES[nth]!,
  },
})

const policies = tableOf<Row<'policies'>>()('public.policies', {
  per: tenants,
  count: POLICIES.length,
  columns: {
    tenant_id: ({ parent }) => parent.id,
    external_id: ({ nth }) => POLICIES[nth]!,
    name: ({ row }) => `The ${row.external_id} one`,
  },
})

const assignments = tableOf<Row<'assignments'>>()('public.assignments', {
  per: policies,
  count: ({ parent }) => (parent.external_id === 'archive' ? REMOVED_PER_ARCHIVE : 0),
  columns: {
    tenant_id: ({ parent }) => parent.tenant_id,
    policy: ({ parent }) => parent.external_id,
    external_id: ({ row, nth }) => `${row.policy}-${nth + 1}`,
    target: ({ row }) => `user-of-${row.external_id}`,
    state: 'removed',
  },
})

/** The first one of each tenant never ended: its worker was lost before there was a ledger. */
const adapterRuns = tableOf<Row<'adapter_runs'>>()('public.adapter_runs', {
  rows: Array.from({ length: WORKSPACES * TENANT_NAMES.length }, () => ({ ended_at: null, ended_by: null })),
  count: 8,
  columns: {
    id: uuid.v7(),
    run_id: uuid.v7(),
    fence: 0,
    tenant_id: ref(tenants),
    workspace_id: through('tenant_id', 'workspace_id'),
    started_at: instant('2026-01-01T00:00:00Z'),
    ended_at: instant('2026-01-01T00:05:00Z'),
    ended_by: 'worker',
  },
})

export default defineSeed({
  allow: { database: ['assignments_dev', 'assignments_test*'] },
  schemas: ['public', 'opsledger', 'pgboss'],
  migrate: migrateApplication,
  keep: ['pgboss.version', 'pgboss.queue'], // filled by the migrations, which `--truncate` does not run
  tables: [workspaces, tenants, policies, assignments, adapterRuns],
})
