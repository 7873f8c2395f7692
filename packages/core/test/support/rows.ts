import { randomUUID } from 'node:crypto'
import type pg from 'pg'

export type Row = Readonly<Record<string, unknown>>

const AT = '2026-01-01T00:00:00Z'

function newRun() {
  return {
    id: randomUUID(),
    identity: randomUUID(),
    work_key: randomUUID(),
    workspace_id: 'w1',
    tenant_id: 't1',
    type: 'assignment.fetch',
  }
}

const executed = () => ({
  attempt: 1,
  fence: 1,
  worker_id: randomUUID(),
  started_at: AT,
  delivery_id: 'd1',
  delivery_attempt: 1,
  delivery_maximum: 3,
})

const completed = (outcome: string, total: number, processed: number, failed: number) => ({
  status: 'completed',
  outcome,
  completed_at: AT,
  total,
  processed,
  failed,
})

/** One valid row for each way a run can be. */
export const RUNS = {
  queued: () => ({ ...newRun(), status: 'queued' }),
  running: () => ({ ...newRun(), ...executed(), status: 'running' }),
  retrying: () => ({
    ...newRun(),
    ...executed(),
    status: 'retrying',
    total: 3,
    processed: 2,
    failed: 1,
    reason_code: 'network.timeout',
    message: 'It took too long.',
    attempt_history: [{ attempt: 1, fence: 1, outcome: 'failed' }],
  }),
  succeeded: () => ({ ...newRun(), ...executed(), ...completed('succeeded', 3, 2, 0) }),
  partiallySucceeded: () => ({
    ...newRun(),
    ...executed(),
    ...completed('partially_succeeded', 3, 3, 1),
    item_failures: { 'provider.rejected': 1 },
  }),
  failed: () => ({
    ...newRun(),
    ...executed(),
    ...completed('failed', 3, 2, 1),
    reason_code: 'network.timeout',
    message: 'It took too long.',
  }),
  undelivered: () => ({
    ...newRun(),
    ...completed('failed', 0, 0, 0),
    reason_code: 'delivery.lost',
    message: 'No delivery.',
  }),
  skipped: () => ({
    ...newRun(),
    ...completed('skipped', 0, 0, 0),
    reason_code: 'run.not_canonical',
    canonical_run_id: randomUUID(),
  }),
  cancelled: () => ({
    ...newRun(),
    ...executed(),
    ...completed('cancelled', 3, 1, 1),
    reason_code: 'run.cancelled',
    message: 'It was cancelled.',
  }),
} satisfies Record<string, () => Row>

/** Columns that the row does not name get their defaults. */
export async function insertRow(
  client: Pick<pg.Pool | pg.ClientBase, 'query'>,
  table: string,
  row: Row,
): Promise<void> {
  const columns = Object.keys(row).join(', ')
  await client.query(
    `insert into opsledger.${table} (${columns})
     select ${columns} from jsonb_populate_record(null::opsledger.${table}, $1)`,
    [JSON.stringify(row)],
  )
}
