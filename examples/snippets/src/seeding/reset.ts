// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { strict as assert } from 'node:assert'
import pg from 'pg'

/** The host's own migrations. */
async function migrateApp(url: string) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(
    `create table app.workspaces (id uuid primary key, name text not null);
     create table app.tenants (id uuid primary key, workspace_id uuid not null references app.workspaces,
       external_id uuid not null unique, name text not null, unique (id, workspace_id));
     create table app.assignments (id uuid primary key, tenant_id uuid not null, workspace_id uuid not null,
       state text not null check (state in ('active', 'paused')), created_at timestamptz not null,
       foreign key (tenant_id, workspace_id) references app.tenants (id, workspace_id))`,
  )
  await client.end()
}

// #region setup
import { migrate } from '@opsledger/core'
import { migrations } from '@opsledger/dedupe/migrations'
import { resetAndSeed } from '@opsledger/seed'
import config from './seed.config.ts'

const options = {
  ...config,
  allow: { ...config.allow, hosts: ['postgres'] }, // the name of the service in CI
  schemas: ['app', 'opsledger'], // a new run of the tests meets no cooldown of the one before
  async migrate({ url }: { url: string }) {
    await migrateApp(url)
    await migrate({ connection: url, with: [migrations] })
  },
}

/** Once per run of the tests, such as in Vitest's `globalSetup`. */
export async function setup(connection: string) {
  const report = await resetAndSeed({ ...options, connection })
  console.log(`${report.database}: ${report.rows} rows in ${report.tables.length} tables`)
}

/** Between test files: no drop, no migrations. */
export async function reset(connection: string) {
  await resetAndSeed({ ...options, connection, mode: 'truncate' })
}
// #endregion

async function inDatabase(run: (url: string) => Promise<void>) {
  const server = new pg.Client({ connectionString: process.env.DATABASE_URL })
  await server.connect()
  const name = `myapp_test_${process.pid}`
  await server.query(`create database ${name}`)
  try {
    const url = new URL(process.env.DATABASE_URL!)
    url.pathname = name
    await run(url.href)
  } finally {
    await server.query(`drop database ${name} with (force)`)
    await server.end()
  }
}

await inDatabase(async (url) => {
  await setup(url)
  await reset(url)
  // #region problems
  const plan = await resetAndSeed({ ...options, connection: url, mode: 'truncate', dryRun: true })
  for (const { table, column, message, fix } of plan.problems) console.log(table, column, message, fix)
  // #endregion
  assert.equal(plan.checkedAgainst, 'catalog')
  assert.deepEqual(plan.problems, [])
  assert.equal(plan.rows, 1_130)
})
