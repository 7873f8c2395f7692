import { defineSeed, instant, oneOf, table, uuid } from '@opsledger/seed'

const workspaces = table('app.workspaces', {
  count: 2,
  columns: { id: uuid.v4(), name: ({ index }) => `Workspace ${index}` },
})

const tenants = table('app.tenants', {
  per: workspaces,
  count: 3,
  columns: {
    external_id: uuid.v4(),
    workspace_id: ({ parent }) => parent.id,
    plan: oneOf(['free', 'team']),
    created_at: instant('2026-01-01T00:00:00Z'),
  },
})

export default defineSeed({
  // The place is a test database of a random name, on whatever host the tests use.
  allow: {
    database: 'opsledger_test_*',
    hosts: [new URL(process.env.DATABASE_URL!).hostname],
    productionLike: [new URL(process.env.DATABASE_URL!).pathname.slice(1)],
  },
  schemas: ['app'],
  async migrate({ url }) {
    // No package of ours needs the types of pg, so this host has none.
    const { default: pg } = await import('pg' as string)
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(`
      create table app.workspaces (id uuid primary key, name text not null);
      create table app.tenants (
        external_id uuid primary key, workspace_id uuid not null references app.workspaces,
        plan text not null, created_at timestamptz not null)`)
    await client.end()
  },
  tables: [workspaces, tenants],
})
