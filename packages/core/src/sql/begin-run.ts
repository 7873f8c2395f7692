import type { SqlFile } from '../migrations/migration.ts'
import { planSettings } from './plan-settings.ts'

/** One admission as the client sends it; `n` is its place in the batch, and the answer's. */
export const runRequestType: SqlFile = (s) => `
create type ${s}.run_request as (
  n integer,
  workspace_id text,
  tenant_id text,
  type text,
  run_id uuid,
  new_run_id uuid,
  identity uuid,
  work_key uuid,
  is_system boolean,
  delivery_id text,
  delivery_attempt integer,
  delivery_maximum integer,
  context jsonb
)`

/** Effect: none. A run's history with one more attempt; the oldest goes when there would be more than 20. */
export const appendAttemptFunction: SqlFile = (s) => `
create function ${s}.append_attempt(p_history jsonb, p_attempt jsonb) returns jsonb
language sql immutable parallel safe
return case
  when p_history is null then jsonb_build_array(p_attempt)
  when jsonb_array_length(p_history) >= 20 then (p_history - 0) || p_attempt
  else p_history || p_attempt
end`

/** Effect: none. How an attempt is kept in the history. */
export const attemptEntryFunction: SqlFile = (s) => `
create function ${s}.attempt_entry(
  r ${s}.operation_run, p_outcome text, p_reason_code text, p_message text,
  p_total integer, p_processed integer, p_failed integer, p_ended_at timestamptz
) returns jsonb language sql stable
return jsonb_build_object(
  'attempt', r.attempt, 'fence', r.fence, 'workerId', r.worker_id,
  'deliveryId', r.delivery_id, 'deliveryAttempt', r.delivery_attempt, 'deliveryMaximum', r.delivery_maximum,
  'startedAt', r.started_at, 'endedAt', p_ended_at,
  'outcome', p_outcome, 'reasonCode', p_reason_code, 'message', p_message,
  'total', p_total, 'processed', p_processed, 'failed', p_failed)`

/**
 * Effect: the run executes its next attempt under `p_fence`: inserted, or reopened with what it was moved into the
 * history. A run that an attempt was lost of keeps the counts of its last *settled* attempt until the next
 * settlement replaces them.
 * Lock: the run row (or its keys in the unique indexes). A run that changed since `p_known` was read, and a second
 * open run of the work, raise 40001 and 23505: the caller tries again. Clock: `p_at`, the database's.
 */
export const beginRunFunction: SqlFile = (s) => `
create function ${s}.begin_run(
  e ${s}.run_request, p_known ${s}.operation_run, p_fence bigint, p_worker uuid, p_at timestamptz
) returns ${s}.operation_run language plpgsql${planSettings} as $$
declare
  v_run ${s}.operation_run;
begin
  if p_known.id is null then
    insert into ${s}.operation_run
      (id, workspace_id, tenant_id, type, identity, work_key, status, attempt, fence, worker_id, created_at,
       started_at, delivery_id, delivery_attempt, delivery_maximum, context)
    values
      (coalesce(e.run_id, e.new_run_id), e.workspace_id, e.tenant_id, e.type, e.identity, e.work_key, 'running', 1,
       p_fence, p_worker, p_at, p_at, e.delivery_id, e.delivery_attempt, e.delivery_maximum, e.context)
    returning * into v_run;
    return v_run;
  end if;
  update ${s}.operation_run r set
    status = 'running',
    outcome = 'pending',
    attempt = r.attempt + 1,
    fence = p_fence,
    worker_id = p_worker,
    started_at = p_at,
    completed_at = null,
    delivery_id = e.delivery_id,
    delivery_attempt = e.delivery_attempt,
    delivery_maximum = e.delivery_maximum,
    context = coalesce(e.context, r.context),
    reason_code = null,
    message = null,
    progress = null,
    canonical_run_id = null,
    attempt_history = case r.status
      when 'running' then ${s}.append_attempt(r.attempt_history, ${s}.attempt_entry(
        r, 'lost', 'worker.lost', null, null, null, null, p_at))
      when 'completed' then ${s}.append_attempt(r.attempt_history, ${s}.attempt_entry(
        r, r.outcome, r.reason_code, r.message, r.total, r.processed, r.failed, r.completed_at))
      else r.attempt_history
    end
  where r.id = p_known.id and r.status = p_known.status and r.fence is not distinct from p_known.fence
  returning * into v_run;
  if not found then
    raise exception 'run % changed while it was being claimed', p_known.id using errcode = '40001';
  end if;
  return v_run;
end $$`

/**
 * Effect: a run that another run stands for is closed as skipped and points to it: inserted so, or moved there from
 * `queued` or `retrying`; a run that is in execution or has ended stays as it is. `p_ends_delivery` says whether
 * the delivery ends with it; where it goes on to execute the other run, its retries must find nothing that ended.
 * Lock: the run row. Clock: `p_at`, the database's.
 */
export const skipRunFunction: SqlFile = (s) => `
create function ${s}.skip_run(
  e ${s}.run_request, p_run_id uuid, p_reason_code text, p_canonical_run_id uuid, p_ends_delivery boolean,
  p_at timestamptz
) returns ${s}.operation_run language plpgsql${planSettings} as $$
declare
  v_run ${s}.operation_run;
begin
  insert into ${s}.operation_run as r
    (id, workspace_id, tenant_id, type, identity, work_key, status, outcome, created_at, completed_at,
     total, processed, failed, reason_code, canonical_run_id,
     delivery_id, delivery_attempt, delivery_maximum, context)
  values
    (p_run_id, e.workspace_id, e.tenant_id, e.type, e.identity, e.work_key, 'completed', 'skipped', p_at, p_at,
     0, 0, 0, p_reason_code, p_canonical_run_id,
     case when p_ends_delivery then e.delivery_id end,
     case when p_ends_delivery then e.delivery_attempt end,
     case when p_ends_delivery then e.delivery_maximum end, e.context)
  on conflict (id) do update set
    status = 'completed', outcome = 'skipped', completed_at = p_at, total = 0, processed = 0, failed = 0,
    item_failures = null, reason_code = p_reason_code, message = null, canonical_run_id = p_canonical_run_id,
    delivery_id = excluded.delivery_id, delivery_attempt = excluded.delivery_attempt,
    delivery_maximum = excluded.delivery_maximum
  where r.status in ('queued', 'retrying') and r.id <> p_canonical_run_id
  returning * into v_run;
  if not found then select * into v_run from ${s}.operation_run where id = p_run_id; end if;
  return v_run;
end $$`
