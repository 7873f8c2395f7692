// #region config
import { defineSeed, instant, oneOf, ref, table, through, uuid } from '@opsledger/seed'

const workspaces = table('app.workspaces', {
  rows: [{ name: 'Acme' }],
  count: 4,
  columns: { id: uuid.v4(), name: ({ index }) => `Workspace ${index}` },
})

const tenants = table('app.tenants', {
  per: workspaces,
  count: 25,
  columns: {
    id: uuid.v4(),
    workspace_id: ({ parent }) => parent.id,
    external_id: uuid.v4(),
    name: ({ index, random }) => `Tenant ${index} ${random.pick(['North', 'South'])}`,
  },
})

const assignments = table('app.assignments', {
  count: 1_000,
  columns: {
    id: uuid.v4(),
    tenant_id: ref(tenants),
    workspace_id: through('tenant_id', 'workspace_id'),
    state: oneOf(['active', 'paused']),
    created_at: instant('2026-01-01T00:00:00Z'),
  },
})

export default defineSeed({
  allow: { database: 'myapp_test*' },
  schemas: ['app'],
  migrate: { command: 'pnpm', args: ['migrate'] },
  tables: [workspaces, tenants, assignments],
})
// #endregion
