import type { SqlFile } from '../migrations/migration.ts'

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

/**
 * Effect: the rules that tie columns of a run together, each a constraint named after the rule: those of a domain over
 * what they are about. A CHECK of the table takes it in, once; as ten CHECKs they were parsed anew by each statement.
 */
export const runRules: readonly SqlFile[] = [
  (s) => `
create type ${s}.run_facts as (
  id uuid,
  canonical_run_id uuid,
  status ${s}.run_status,
  outcome ${s}.run_outcome,
  has_time boolean,
  total integer,
  processed integer,
  failed integer,
  has_reason boolean,
  has_message boolean,
  attempt integer,
  fence_parts_missing integer,
  has_delivery boolean,
  delivery_attempt integer,
  delivery_maximum integer,
  has_history boolean,
  has_progress boolean
)`,
  (s) => `
create domain ${s}.run_rules as ${s}.run_facts
  constraint run_has_outcome_and_time_exactly_when_completed check
    (((value).status = 'completed') = ((value).outcome <> 'pending')
      and ((value).status = 'completed') = (value).has_time)
  constraint run_has_counts_once_completed check
    ((value).status <> 'completed' or num_nulls((value).total, (value).processed, (value).failed) = 0)
  constraint run_counts_come_together_and_in_order check
    (num_nulls((value).total, (value).processed, (value).failed) in (0, 3)
      and 0 <= (value).failed and (value).failed <= (value).processed and (value).processed <= (value).total)
  constraint run_counts_fit_the_outcome check (case (value).outcome
    when 'succeeded' then (value).failed = 0
    when 'partially_succeeded' then (value).failed > 0 and (value).failed < (value).processed
    when 'skipped' then (value).total = 0
    else true end)
  constraint run_says_why_it_failed_or_was_skipped check (case (value).outcome
    when 'failed' then (value).has_reason and (value).has_message
    when 'skipped' then (value).has_reason
    else true end)
  constraint run_has_the_attempts_of_its_status check (case (value).status
    when 'queued' then (value).attempt = 0
    when 'running' then (value).attempt > 0 and (value).has_delivery
    when 'retrying' then (value).attempt > 0 and (value).has_history
    else (value).attempt > 0 or (value).outcome not in ('succeeded', 'partially_succeeded') end)
  constraint run_attempts_are_fenced check
    ((value).fence_parts_missing = case when (value).attempt > 0 then 0 else 3 end and (value).attempt >= 0)
  constraint run_delivery_is_whole_and_counts_from_one check
    (num_nulls((value).delivery_attempt, (value).delivery_maximum) = case when (value).has_delivery then 0 else 2 end
      and (value).delivery_attempt > 0 and (value).delivery_maximum > 0)
  constraint run_points_to_another_run_exactly_when_skipped check
    (((value).outcome = 'skipped') = ((value).canonical_run_id is not null)
      and (value).canonical_run_id <> (value).id)
  constraint run_progress_is_of_the_running_attempt check (not (value).has_progress or (value).status = 'running')`,
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
  constraint run_id_is_unique primary key (id),
  constraint run_keeps_the_rules check (num_nonnulls(row(
    id, canonical_run_id, status, outcome, completed_at is not null, total, processed, failed, reason_code is not null,
    message is not null, attempt, num_nulls(fence, worker_id, started_at), delivery_id is not null, delivery_attempt,
    delivery_maximum, attempt_history is not null, progress is not null)::${s}.run_rules) = 1)
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
