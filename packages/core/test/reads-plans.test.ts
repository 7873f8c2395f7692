import { randomUUID } from 'node:crypto'
import type { Ledger, Page } from '@opsledger/core'
import { type CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

/** Of the 20,000. What reads them all reads few, whatever the history. */
const OPEN_RUNS = 400

let sent: CompiledQuery[] = []
let ledger: Ledger
let someId: string

interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Sort Key'?: string[]
  'Actual Rows': number
  Plans?: Plan[]
}

beforeAll(async () => {
  const kysely = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: database.pool() }),
    log: ({ query }) => void sent.push(query),
  })
  ledger = ledgerOf({ kysely })
  // One workspace has most of the rows, as most hosts have; one row in a hundred is open.
  await database.pool().query(`
    insert into opsledger.operation_run
      (id, identity, work_key, workspace_id, tenant_id, type, status, outcome, created_at, started_at, completed_at,
       attempt, fence, worker_id, delivery_id, delivery_attempt, delivery_maximum, total, processed, failed)
    select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
      case when n % 5 = 0 then 'small' || n % 7 else 'big' end,
      case when n % 10 <> 1 then 't' || n % 37 end, 'type.' || n % 6,
      (case when n % 100 = 0 or n % 100 = 41 then 'running' else 'completed' end)::opsledger.run_status,
      (case when n % 100 = 0 or n % 100 = 41 then 'pending' else 'succeeded' end)::opsledger.run_outcome,
      timestamptz '2026-01-01Z' + n * interval '1 s', now(),
      case when n % 100 <> 0 and n % 100 <> 41 then now() end,
      1, n, gen_random_uuid(), 'd' || n, 1, 1, 0, 0, 0
    from generate_series(1, 20000) as n`)
  await database.pool().query('analyze opsledger.operation_run')
  await database.pool().query('vacuum opsledger.operation_run')
  const { rows } = await database
    .pool()
    .query<{ id: string }>(
      `select id from opsledger.operation_run where workspace_id = 'big' limit 1 offset 9000`,
    )
  someId = rows[0]!.id
})

/** The plan of the read's own statement, with its own parameters. */
async function plansOf(read: () => Promise<unknown>): Promise<{ nodes: Plan[]; shape: string }> {
  await read()
  sent = []
  await read()
  const query = sent.find(({ sql }) => /from "opsledger"."operation_run"/.test(sql))!
  const { rows } = await database
    .pool()
    .query(`explain (analyze, format json) ${query.sql}`, [...query.parameters])
  const nodes: Plan[] = []
  const visit = (plan: Plan) => {
    nodes.push(plan)
    plan.Plans?.forEach(visit)
  }
  visit(rows[0]['QUERY PLAN'][0].Plan)
  const shape = nodes
    .map((node) => [node['Node Type'], node['Index Name']].filter(Boolean).join(' '))
    .join(' < ')
  return { nodes, shape }
}

/** Rows that the plan took out of the table, whether they were shown or thrown away afterwards. */
const rowsRead = (nodes: Plan[]) =>
  Math.max(
    ...nodes
      .filter((node) => node['Relation Name'] === 'operation_run')
      .map(
        (node) =>
          node['Actual Rows'] +
          ((node as { 'Rows Removed by Filter'?: number })['Rows Removed by Filter'] ?? 0),
      ),
  )

const tenant = { workspaceId: 'big', tenantId: 't7' }
const workspace = { workspaceId: 'big' }
const secondPageAcross = async (page: Page) => {
  const { nextCursor } = await ledger.acrossTenants.list('big', { ...page, limit: 100 })
  sent = []
  return ledger.acrossTenants.list('big', { ...page, cursor: nextCursor! })
}

describe('on 20,000 runs', () => {
  test.each<[string, string, () => Promise<unknown>]>([
    ["a tenant's list", 'run_by_scope_and_time', () => ledger.list(tenant)],
    [
      "the next page of a tenant's list",
      'run_by_scope_and_time',
      async () => {
        const { nextCursor } = await ledger.list(tenant, { limit: 100 })
        sent = []
        await ledger.list(tenant, { cursor: nextCursor! })
      },
    ],
    [
      "a tenant's list between two instants",
      'run_by_scope_and_time',
      () =>
        ledger.list(tenant, {
          createdAfter: new Date('2026-01-01T02:00:00Z'),
          createdBefore: new Date('2026-01-01T03:00:00Z'),
        }),
    ],
    ["the workspace's own list", 'run_by_scope_and_time', () => ledger.list(workspace)],
    [
      "the next page of the workspace's own list",
      'run_by_scope_and_time',
      async () => {
        const { nextCursor } = await ledger.list(workspace, { limit: 100 })
        sent = []
        await ledger.list(workspace, { cursor: nextCursor! })
      },
    ],
    [
      'all tenants by type',
      'run_by_type_and_time',
      () => ledger.acrossTenants.list('big', { type: 'type.3' }),
    ],
    [
      'the next page of all tenants by type',
      'run_by_type_and_time',
      () => secondPageAcross({ type: 'type.3' }),
    ],
  ])('%s is read from %s, without a sequential scan or a sort, a page at a time', async (_, index, read) => {
    const { nodes, shape } = await plansOf(read)
    expect(shape).toContain(index)
    expect(shape).not.toMatch(/Seq Scan|Bitmap/)
    expect(shape).not.toMatch(/\bSort\b/)
    expect(rowsRead(nodes)).toBeLessThanOrEqual(101)
  })

  test.each<[string, () => Promise<unknown>]>([
    ["a tenant's open runs", () => ledger.openRuns(tenant)],
    ["the workspace's own open runs", () => ledger.openRuns(workspace)],
    ["every tenant's open runs", () => ledger.acrossTenants.openRuns('big')],
    ["every tenant's open runs of a type", () => ledger.acrossTenants.openRuns('big', { type: 'type.1' })],
  ])('%s are read from one_open_run_per_work, at the price of the open ones', async (_, read) => {
    const { nodes, shape } = await plansOf(read)
    expect(shape).toContain('one_open_run_per_work')
    expect(shape).not.toContain('Seq Scan')
    expect(rowsRead(nodes)).toBeLessThanOrEqual(OPEN_RUNS)
  })

  test.each<[string, () => Promise<unknown>]>([
    ['a tenant', () => ledger.list(tenant, { deliveryId: 'd7' })],
    ['all tenants', () => ledger.acrossTenants.list('big', { deliveryId: 'd7' })],
  ])('what became of a delivery is read from run_by_delivery for %s', async (_, read) => {
    const { nodes, shape } = await plansOf(read)
    expect(shape).toContain('run_by_delivery')
    expect(shape).not.toContain('Seq Scan')
    expect(rowsRead(nodes)).toBeLessThanOrEqual(OPEN_RUNS)
  })

  test.each<[string, () => Promise<unknown>]>([
    ['in a scope', () => ledger.get(workspace, someId)],
    ['across tenants', () => ledger.acrossTenants.get('big', someId)],
    ['that is not there', () => ledger.get(tenant, randomUUID())],
  ])('one run %s is read from its id', async (_, read) => {
    const { shape } = await plansOf(read)
    expect(shape).toContain('run_id_is_unique')
    expect(shape).not.toContain('Seq Scan')
  })
})
