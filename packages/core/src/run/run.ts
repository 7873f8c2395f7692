import type { ExactScope } from './scope.ts'

/**
 * `queued`: opened at dispatch, never executed. `retrying`: an attempt ended and the run did not, because its queue
 * will deliver again. A run that is `completed` may be reopened by a later delivery that names it.
 */
export type RunStatus = 'queued' | 'running' | 'retrying' | 'completed'
/**
 * `pending` until the run is completed. `partially_succeeded`: some items failed, not all. `skipped`: another run
 * stands for the work. `cancelled`: the handler gave up for good with `run.cancelled`.
 */
export type RunOutcome = 'pending' | 'succeeded' | 'partially_succeeded' | 'failed' | 'skipped' | 'cancelled'

/** Items in scope, items brought to a conclusion (good or bad), and how many of those went wrong. */
export interface Counts {
  readonly total: number
  readonly processed: number
  readonly failed: number
}

/** What a running attempt has counted so far. Never a result: `total` is null until the handler has set it. */
export interface Progress {
  readonly total: number | null
  readonly processed: number
  readonly failed: number
}

/** An attempt that is not the run's last one any more. */
export interface PastAttempt {
  readonly attempt: number
  readonly fence: number
  readonly workerId: string
  readonly deliveryId: string
  readonly deliveryAttempt: number
  readonly deliveryMaxAttempts: number
  readonly startedAt: Date
  readonly endedAt: Date
  /** `lost` when its worker went away without settling it. */
  readonly outcome: Exclude<RunOutcome, 'pending'> | 'lost'
  readonly reasonCode: string | null
  readonly message: string | null
  readonly counts: Counts | null
}

/** One logical operation in the ledger, for one scope and type, with one outcome at the end. */
export interface Run {
  readonly id: string
  readonly scope: ExactScope
  readonly type: string
  readonly status: RunStatus
  readonly outcome: RunOutcome
  /** Admitted executions so far, counted from 1; 0 while queued. */
  readonly attempt: number
  readonly fence: number | null
  readonly workerId: string | null
  readonly delivery: { readonly id: string; readonly attempt: number; readonly maxAttempts: number } | null
  /** Those of the last settled attempt; null until there is one. */
  readonly counts: Counts | null
  /** How many items failed for each reason code. */
  readonly itemFailures: Readonly<Record<string, number>>
  readonly progress: Progress | null
  readonly reasonCode: string | null
  readonly message: string | null
  readonly context: unknown
  /** Attempts before the last one, oldest first; the newest 20 are kept. */
  readonly pastAttempts: readonly PastAttempt[]
  /** The run that stands for this work, when this one was skipped for it. */
  readonly canonicalRunId: string | null
  readonly identity: string
  readonly workKey: string
  readonly createdAt: Date
  readonly startedAt: Date | null
  readonly completedAt: Date | null
}

/** A row of `operation_run` as JSON, the one form in which rows reach this code. */
export interface RunRow {
  id: string
  workspace_id: string
  tenant_id: string | null
  type: string
  identity: string
  work_key: string
  status: RunStatus
  outcome: RunOutcome
  attempt: number
  fence: number | null
  worker_id: string | null
  delivery_id: string | null
  delivery_attempt: number | null
  delivery_maximum: number | null
  total: number | null
  processed: number | null
  failed: number | null
  item_failures: Record<string, number> | null
  progress: Progress | null
  reason_code: string | null
  message: string | null
  context: unknown
  attempt_history: PastAttemptRow[] | null
  canonical_run_id: string | null
  created_at: string
  started_at: string | null
  completed_at: string | null
}

/** An entry of `attempt_history`. */
export interface PastAttemptRow {
  attempt: number
  fence: number
  workerId: string
  deliveryId: string
  deliveryAttempt: number
  deliveryMaximum: number
  startedAt: string
  endedAt: string
  outcome: PastAttempt['outcome']
  reasonCode: string | null
  message: string | null
  total: number | null
  processed: number | null
  failed: number | null
}

/** Instants become dates, and the three counts one object: null until there are any. */
export function runFromRow(row: RunRow): Run {
  return {
    id: row.id,
    scope: { workspaceId: row.workspace_id, tenantId: row.tenant_id },
    type: row.type,
    status: row.status,
    outcome: row.outcome,
    attempt: row.attempt,
    fence: row.fence,
    workerId: row.worker_id,
    delivery:
      row.delivery_id === null
        ? null
        : { id: row.delivery_id, attempt: row.delivery_attempt!, maxAttempts: row.delivery_maximum! },
    counts: countsFrom(row),
    itemFailures: row.item_failures ?? {},
    progress: row.progress,
    reasonCode: row.reason_code,
    message: row.message,
    context: row.context ?? null,
    pastAttempts: pastAttemptsFrom(row.attempt_history),
    canonicalRunId: row.canonical_run_id,
    identity: row.identity,
    workKey: row.work_key,
    createdAt: new Date(row.created_at),
    startedAt: row.started_at === null ? null : new Date(row.started_at),
    completedAt: row.completed_at === null ? null : new Date(row.completed_at),
  }
}

export function pastAttemptsFrom(rows: PastAttemptRow[] | null | undefined): PastAttempt[] {
  return (rows ?? []).map(({ startedAt, endedAt, total, processed, failed, deliveryMaximum, ...rest }) => ({
    ...rest,
    deliveryMaxAttempts: deliveryMaximum,
    startedAt: new Date(startedAt),
    endedAt: new Date(endedAt),
    counts: countsFrom({ total, processed, failed }),
  }))
}

function countsFrom(row: { total: number | null; processed: number | null; failed: number | null }) {
  return row.total === null
    ? null
    : { total: row.total, processed: row.processed ?? 0, failed: row.failed ?? 0 }
}
