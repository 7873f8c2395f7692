import { useDatabase } from '@opsledger/testing/vitest'
import { expect, it } from 'vitest'
import config from '../../../examples/snippets/src/seeding/seed.config.ts'
import { resetAndSeed } from '../src/index.ts'
import { execute } from './support/host.ts'

const database = useDatabase()

/** The README shows that file, which the tests of `examples/snippets` hold it to. */
it('the example of the README seeds what it says', async () => {
  const migrate = ({ url }: { url: string }) =>
    execute(
      url,
      `create table app.workspaces (id uuid primary key, name text not null);
       create table app.tenants (id uuid primary key, workspace_id uuid not null references app.workspaces,
         external_id uuid not null unique, name text not null, unique (id, workspace_id));
       create table app.assignments (id uuid primary key, tenant_id uuid not null, workspace_id uuid not null,
         state text not null check (state in ('active', 'paused')), created_at timestamptz not null,
         foreign key (tenant_id, workspace_id) references app.tenants (id, workspace_id))`,
    )
  const allow = { database: 'opsledger_test_*', productionLike: [database.name] }
  const report = await resetAndSeed({ ...config, allow, migrate, connection: database.url })
  expect(report.tables).toEqual([
    { name: 'app.workspaces', rows: 5 },
    { name: 'app.tenants', rows: 125 },
    { name: 'app.assignments', rows: 1_000 },
  ])
})
