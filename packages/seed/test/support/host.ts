import type { TestDatabase } from '@opsledger/testing/vitest'
import pg from 'pg'
import { type ResetAndSeedOptions, serial, table, uuid } from '../../src/index.ts'

/** A host's schema, as its migrations make it. */
export const HOST_SCHEMA = `
  create type app.plan as enum ('free', 'team');
  create table app.workspaces (
    id uuid primary key, name text not null, slug varchar(12) not null unique, plan app.plan not null default 'free');
  create table app.tenants (
    id bigint generated always as identity primary key,
    workspace_id uuid not null references app.workspaces,
    external_id uuid not null unique,
    name text not null,
    shout text generated always as (upper(name)) stored,
    created_at timestamptz not null default '2026-01-01Z');
  create table app.assignments (
    id serial primary key, tenant_id bigint not null references app.tenants, note text)`

/** Runs statements on a connection of its own, as a migration tool does. */
export async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

export const workspaces = table('app.workspaces', {
  count: 3,
  columns: { id: uuid.v4(), name: ({ index }) => `Workspace ${index}`, slug: ({ index }) => `w-${index}` },
})

export const tenants = table('app.tenants', {
  per: workspaces,
  count: 4,
  columns: {
    id: serial(),
    workspace_id: ({ parent }) => parent.id,
    external_id: uuid.v4(),
    name: ({ index }) => `Tenant ${index}`,
  },
})

export const assignments = table('app.assignments', {
  per: tenants,
  count: 2,
  columns: { tenant_id: ({ parent }) => parent.id },
})

/** Options that work as they are; each test changes the one thing it is about. */
export const optionsFor = (
  database: TestDatabase,
  changes: Partial<ResetAndSeedOptions> = {},
): ResetAndSeedOptions => ({
  connection: database.url,
  // A test database's random name may hold any letters.
  allow: { database: 'opsledger_test_*', productionLike: [database.name] },
  schemas: ['app'],
  migrate: ({ url }) => execute(url, HOST_SCHEMA),
  tables: [assignments, tenants, workspaces],
  ...changes,
})
