import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { useDatabase } from '@opsledger/testing/vitest'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'

const COMMAND = fileURLToPath(new URL('../../../packages/seed/src/cli.ts', import.meta.url))
const CONFIG = fileURLToPath(new URL('../src/app/seed.config.ts', import.meta.url))

/** As a developer runs it; the server may be another machine. */
async function seed(url: string, ...args: string[]) {
  const command = ['--conditions=opsledger-source', COMMAND, CONFIG, '--url', url]
  const host = ['--allow-host', new URL(url).hostname]
  const env = { ...process.env, NODE_OPTIONS: undefined }
  const run = promisify(execFile)(process.execPath, [...command, ...host, ...args], { env })
  return run.then(
    ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )
}

async function query<Row extends object>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

/** Every row of the host's tables, in one value to compare. */
async function rowsOf(url: string): Promise<string> {
  const [row] = await query<{ digest: string }>(
    url,
    `select md5(string_agg(line, e'\\n' order by line)) as digest from (
       select t::text as line from workspaces t union all select t::text from tenants t
       union all select t::text from policies t union all select t::text from assignments t
       union all select t::text from adapter_runs t
     ) as lines`,
  )
  return row!.digest
}

const NEW_SCHEMAS = `select nspname from pg_namespace where nspname in ('opsledger', 'pgboss')`

const COUNTS = `select
  (select count(*)::int from workspaces) as workspaces,
  (select count(*)::int from tenants) as tenants,
  (select count(*)::int from policies) as policies,
  (select count(*)::int from assignments where state = 'removed' and policy = 'archive') as removed,
  (select count(*)::int from adapter_runs where ended_at is null) as never_ended,
  (select count(*)::int from opsledger.operation_run) as runs,
  (select count(*)::int from opsledger.job_claim) as claims,
  (select count(*)::int from pgboss.queue) as queues,
  (select count(*)::int from pgboss.job) as jobs`
const SEEDED = {
  workspaces: 2,
  tenants: 4,
  policies: 28,
  removed: 40,
  never_ended: 4,
  runs: 0,
  claims: 0,
  queues: 3,
  jobs: 0,
}

describe('the seed command', () => {
  let url = ''

  beforeEach(async () => {
    const name = `assignments_test_${randomBytes(5).toString('hex')}`
    const server = new URL(inject('opsledgerServer').url)
    await query(server.href, `create database ${name} template template0`)
    url = Object.assign(new URL(server), { pathname: `/${name}` }).href
  })
  afterEach(async () => {
    const name = new URL(url).pathname.slice(1)
    await query(inject('opsledgerServer').url, `drop database ${name} with (force)`)
  })

  test('makes a clean database the one that the demo plays on', { timeout: 60_000 }, async () => {
    const planned = await seed(url, '--dry-run')
    expect(planned.stdout).toContain('seed 86 rows in one transaction')
    expect(await query(url, NEW_SCHEMAS)).toEqual([])

    const { code, stdout } = await seed(url)
    expect(stdout).toContain('seed 86 rows in one transaction')
    expect(code).toBe(0)
    expect(await query(url, COUNTS)).toEqual([SEEDED])
    const tenants = await query<{ external_id: string; workspace: string | null }>(
      url,
      `select external_id, workspaces.name as workspace
       from tenants left join workspaces on workspaces.id = workspace_id order by workspace, tenants.name`,
    )
    expect(tenants.map(({ workspace }) => workspace)).toEqual([
      'Workspace 1',
      'Workspace 1',
      'Workspace 2',
      'Workspace 2',
    ])
    for (const { external_id } of tenants) {
      expect(external_id).toMatch(/^.{8}-.{4}-4.{3}-[89ab].{3}-.{12}$/)
    }
    const [ownerless] = await query<{ count: number }>(
      url,
      `select count(*)::int as count from adapter_runs a
       where not exists (select from tenants t where (t.id, t.workspace_id) = (a.tenant_id, a.workspace_id))`,
    )
    expect(ownerless).toEqual({ count: 0 })
  })

  test('again, it leaves nothing of what was there, and the same rows', { timeout: 60_000 }, async () => {
    const LEFT_OVER = `insert into workspaces values (gen_random_uuid(), 'left over');
      insert into pgboss.job (name) values ('assignment-fetch');
      select opsledger.register_term(gen_random_uuid(), 'gone', 1, 1)`
    const LEASES = 'select count(*)::int as leases from opsledger.worker_lease'
    expect((await seed(url)).code).toBe(0)
    const first = await rowsOf(url)
    for (const mode of [[], ['--truncate']]) {
      await query(url, LEFT_OVER)
      expect(await rowsOf(url)).not.toBe(first)
      expect((await seed(url, ...mode)).code).toBe(0)
      expect(await query(url, COUNTS)).toEqual([SEEDED])
      expect(await query(url, LEASES)).toEqual([{ leases: 0 }])
      expect(await rowsOf(url)).toBe(first)
    }
  })
})

describe('a database of another name', () => {
  const database = useDatabase()

  test('is refused and left as it was', async () => {
    await query(database.url, 'create table precious (n int); insert into precious values (1)')
    const { code, stderr } = await seed(database.url)
    expect(stderr).toContain('its name does not match allow.database (assignments_dev, assignments_test*)')
    expect(code).toBe(2)
    expect(await query(database.url, 'select n from precious')).toEqual([{ n: 1 }])
    expect(await query(database.url, NEW_SCHEMAS)).toEqual([])
  })
})
