import type { SqlFile } from '../migrations/migration.ts'

/**
 * Effect: the run ledger. Every rule of a run that can be said about one row is a constraint named after the rule;
 * every index is named after the read that it serves.
 */
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
  status text not null,
  outcome text not null default 'pending',
  workspace_id text not null,
  tenant_id text,
  type text not null,
  delivery_id text,
  reason_code text,
  message text,
  item_failures jsonb,
  progress jsonb,
  context jsonb,
  attempt_history jsonb,
  constraint run_id_is_unique primary key (id),
  constraint run_scope_is_named check (workspace_id <> '' and tenant_id <> ''),
  constraint run_type_is_named check (type <> ''),
  constraint run_status_is_known check (status in ('queued', 'running', 'retrying', 'completed')),
  constraint run_outcome_is_known check
    (outcome in ('pending', 'succeeded', 'partially_succeeded', 'failed', 'skipped', 'cancelled')),
  constraint run_has_an_outcome_once_completed check ((status = 'completed') = (outcome <> 'pending')),
  constraint run_has_a_time_once_completed check ((status = 'completed') = (completed_at is not null)),
  constraint run_has_counts_once_completed check
    (status <> 'completed' or num_nulls(total, processed, failed) = 0),
  constraint run_counts_come_together check (num_nulls(total, processed, failed) in (0, 3)),
  constraint run_counts_are_in_order check (0 <= failed and failed <= processed and processed <= total),
  constraint run_succeeded_without_failed_items check (outcome <> 'succeeded' or failed = 0),
  constraint run_partially_succeeded_with_some_failed_items check
    (outcome <> 'partially_succeeded' or (failed > 0 and failed < processed)),
  constraint run_skipped_counts_nothing check (outcome <> 'skipped' or total = 0),
  constraint run_failed_says_why check
    (outcome <> 'failed' or (reason_code is not null and message is not null)),
  constraint run_skipped_says_why check (outcome <> 'skipped' or reason_code is not null),
  constraint run_reason_code_has_its_form check
    (reason_code ~ '^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*){1,3}$' and length(reason_code) <= 64),
  constraint run_message_is_short check (length(message) <= 1000),
  constraint run_in_execution_is_fenced check
    (status <> 'running' or num_nulls(fence, worker_id, delivery_id, started_at) = 0),
  constraint run_counts_its_attempts check (attempt >= 0 and (status <> 'running' or attempt >= 1)),
  constraint run_delivery_is_whole check (num_nulls(delivery_id, delivery_attempt, delivery_maximum) in (0, 3)),
  constraint run_delivery_attempts_count_from_one check (delivery_attempt >= 1 and delivery_maximum >= 1),
  constraint run_points_to_a_canonical_run_only_when_skipped check
    (canonical_run_id is null or (outcome = 'skipped' and canonical_run_id <> id)),
  constraint run_progress_is_of_the_running_attempt check (progress is null or status = 'running'),
  constraint run_attempt_history_is_bounded check
    (jsonb_typeof(attempt_history) = 'array' and jsonb_array_length(attempt_history) <= 20)
) with (fillfactor = 90)`

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
