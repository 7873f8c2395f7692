import type { SqlFile } from '../migrations/migration.ts'
import { rowRules } from './row-rules.ts'

/**
 * Effect: the words a run is told in. What can be said about one value stands with its type: Postgres keeps the parsed
 * rule of a type from statement to statement, while a table's CHECK is parsed again by each statement that writes a
 * row (with thirty of them that was most of the price of an admission).
 */
export const runTypes: readonly SqlFile[] = [
  (s) => `create type ${s}.run_status as enum ('queued', 'running', 'retrying', 'completed')`,
  (s) => `
create type ${s}.run_outcome as enum
  ('pending', 'succeeded', 'partially_succeeded', 'failed', 'skipped', 'cancelled')`,
  (s) => `
create domain ${s}.scope_id as text
  constraint scope_id_is_not_empty check (value <> '' and length(value) <= 200)`,
  (s) => `
create domain ${s}.reason_code as text
  constraint reason_code_has_its_form check
    (value ~ '^[a-z][a-z0-9]*(_[a-z0-9]+)*(\\.[a-z][a-z0-9]*(_[a-z0-9]+)*){1,3}$' and length(value) <= 64)`,
  (s) => `
create domain ${s}.operator_message as text
  constraint message_is_short_and_not_empty check (value <> '' and length(value) <= 2000)`,
  (s) => `
create domain ${s}.item_failures as jsonb
  constraint item_failures_are_by_code check (jsonb_typeof(value) = 'object')`,
  (s) => `
create domain ${s}.attempt_history as jsonb
  constraint attempt_history_is_bounded check (jsonb_typeof(value) = 'array' and jsonb_array_length(value) <= 20)`,
]

/** Effect: the run ledger. Every index is named after the read that it serves. */
export const operationRunTable: SqlFile = (s) => `
create table ${s}.operation_run (
  created_at timestamptz not null default clock_timestamp(),
  started_at timestamptz,
  completed_at timestamptz,
  fence bigint,
  id uuid not null,
  identity uuid not null,
  work_key uuid not null,
  worker_id uuid,
  canonical_run_id uuid,
  attempt integer not null default 0,
  delivery_attempt integer,
  delivery_maximum integer,
  total integer,
  processed integer,
  failed integer,
  status ${s}.run_status not null,
  outcome ${s}.run_outcome not null default 'pending',
  workspace_id ${s}.scope_id not null,
  tenant_id ${s}.scope_id,
  type ${s}.scope_id not null,
  delivery_id text,
  reason_code ${s}.reason_code,
  message ${s}.operator_message,
  item_failures ${s}.item_failures,
  progress jsonb,
  context jsonb,
  attempt_history ${s}.attempt_history,
  constraint run_id_is_unique primary key (id)
) with (fillfactor = 90)`

/** What ties columns of a run together. What can be said of a single value stands with its type. */
export const runRules = rowRules('operation_run', {
  run_has_outcome_and_time_exactly_when_completed: `(r.status = 'completed') = (r.outcome <> 'pending')
      and (r.status = 'completed') = (r.completed_at is not null)`,
  run_has_counts_once_completed: `r.status <> 'completed' or num_nulls(r.total, r.processed, r.failed) = 0`,
  run_counts_come_together_and_in_order: `num_nulls(r.total, r.processed, r.failed) in (0, 3)
      and 0 <= r.failed and r.failed <= r.processed and r.processed <= r.total`,
  run_counts_fit_the_outcome: `case r.outcome
    when 'succeeded' then r.failed = 0
    when 'partially_succeeded' then r.failed > 0 and r.failed < r.processed
    when 'skipped' then r.total = 0
    else true end`,
  run_says_why_it_failed_or_was_skipped: `case r.outcome
    when 'failed' then r.reason_code is not null and r.message is not null
    when 'skipped' then r.reason_code is not null
    else true end`,
  run_has_the_attempts_of_its_status: `case r.status
    when 'queued' then r.attempt = 0
    when 'running' then r.attempt > 0 and r.delivery_id is not null
    when 'retrying' then r.attempt > 0 and r.attempt_history is not null
    else r.attempt > 0 or r.outcome not in ('succeeded', 'partially_succeeded') end`,
  run_attempts_are_fenced: `r.attempt >= 0
      and num_nulls(r.fence, r.worker_id, r.started_at) = case when r.attempt > 0 then 0 else 3 end`,
  run_delivery_is_whole_and_counts_from_one: `r.delivery_attempt > 0 and r.delivery_maximum > 0
      and num_nulls(r.delivery_attempt, r.delivery_maximum) = case when r.delivery_id is null then 2 else 0 end`,
  run_points_to_another_run_exactly_when_skipped: `(r.outcome = 'skipped') = (r.canonical_run_id is not null)
      and r.canonical_run_id <> r.id`,
  run_progress_is_of_the_running_attempt: `r.progress is null or r.status = 'running'`,
})

/** At most one open run per work key, and the read of open runs: by workspace, few rows, whatever the history. */
export const openRunIndex: SqlFile = (s) => `
create unique index one_open_run_per_work on ${s}.operation_run (workspace_id, work_key) where completed_at is null`

/** The operator's list: a tenant's (or the workspace's own) runs by time. */
export const runByScopeIndex: SqlFile = (s) => `
create index run_by_scope_and_time on ${s}.operation_run (workspace_id, tenant_id, created_at, id)`

/** The operator's list by type, over all tenants of a workspace. */
export const runByTypeIndex: SqlFile = (s) => `
create index run_by_type_and_time on ${s}.operation_run (workspace_id, type, created_at, id)`

/** What became of this delivery? Asked by operators with a queue's job id, and by each admission. */
export const runByDeliveryIndex: SqlFile = (s) => `
create index run_by_delivery on ${s}.operation_run (delivery_id) where completed_at is not null`
