import { hostname } from 'node:os'
import pg from 'pg'
import { v7 } from 'uuid'
import type { Place } from '../case.ts'

/** Tenants that jobs are spread over, for every case alike. */
export const TENANTS = 20
export const WORKSPACE = 'workspace-1'
export const TYPE = 'bench.job'

export const tenantOf = (index: number): string => `tenant-${index % TENANTS}`
export const workOf = (index: number): string => `work-${index}`

/**
 * A run as a team would keep it: the columns that operators ask for, and an index for a tenant's list and one for a
 * type's, which OpsLedger has too (beside those for open runs and for deliveries).
 */
const RUN_TABLE = `
create table run (
  id uuid primary key,
  workspace_id text not null,
  tenant_id text not null,
  type text not null,
  work_key text not null,
  delivery_id text not null,
  worker text not null,
  attempt integer not null,
  status text not null,
  outcome text,
  total integer,
  processed integer,
  failed integer,
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  completed_at timestamptz
);
create index run_by_tenant on run (workspace_id, tenant_id, created_at, id);
create index run_by_type on run (workspace_id, type, created_at, id);
create table cooldown (identity text primary key, until timestamptz not null, run_id uuid not null)`

const INSERT_RUN = `
insert into run (id, workspace_id, tenant_id, type, work_key, delivery_id, worker, attempt, status, started_at)
values ($1, $2, $3, $4, $5, $6, $7, 1, 'running', clock_timestamp())`

const COMPLETE_RUN = `
update run set status = 'completed', outcome = 'succeeded', total = 1, processed = 1, failed = 0,
  completed_at = clock_timestamp()
where id = $1`

const WORKER = `${hostname()}:${process.pid}`

export interface Queryable {
  query(query: { name?: string; text: string; values: unknown[] }): Promise<pg.QueryResult>
}

/** Whether plans are kept by name, as a team does that looked at its CPU. */
export type Plans = 'prepared' | 'unnamed'

export const statement = (plans: Plans, name: string, text: string, values: unknown[]) =>
  plans === 'prepared' ? { name, text, values } : { text, values }

/** The first of the two writes. @returns the run's id */
export async function insertRun(on: Queryable, index: number, plans: Plans): Promise<string> {
  const id = v7()
  const values = [id, WORKSPACE, tenantOf(index), TYPE, workOf(index), `delivery-${index}`, WORKER]
  await on.query(statement(plans, 'insert_run', INSERT_RUN, values))
  return id
}

export async function completeRun(on: Queryable, id: string, plans: Plans): Promise<void> {
  await on.query(statement(plans, 'complete_run', COMPLETE_RUN, [id]))
}

/** Both writes around the handler: what remains to be done beside a guard that keeps no ledger. */
export async function twoLedgerWrites(
  on: Queryable,
  index: number,
  handler: Place['handler'],
  plans: Plans = 'prepared',
): Promise<void> {
  const id = await insertRun(on, index, plans)
  await handler(index)
  await completeRun(on, id, plans)
}

/** The host's pool, with its tables made. */
export async function openHostPool(url: string, max: number, options?: string): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString: url, max, ...(options === undefined ? {} : { options }) })
  await pool.query(RUN_TABLE)
  return pool
}
