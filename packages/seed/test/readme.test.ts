import { readFile } from 'node:fs/promises'
import { useDatabase } from '@opsledger/testing/vitest'
import { expect, it } from 'vitest'
import { resetAndSeed } from '../src/index.ts'
import config from './readme-example.ts'
import { execute } from './support/host.ts'

const database = useDatabase()

it('the example of the README is this very file', async () => {
  const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8')
  expect(await read('../README.md')).toContain(`\`\`\`ts\n${await read('./readme-example.ts')}\`\`\``)
})

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
