import type { SqlFile } from '../migrations/migration.ts'

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

/** An attempt that is about to begin: the request, the run that stands for its work, as it was read, and the fence. */
export const runStartType: SqlFile = (s) => `
create type ${s}.run_start as (
  request ${s}.run_request,
  identity uuid,
  work_key uuid,
  known_run_id uuid,
  known_status ${s}.run_status,
  known_fence bigint,
  fence bigint,
  lock_key bigint,
  at timestamptz
)`

/**
 * Effect: each run executes its next attempt under its fence: inserted, or reopened with what it was moved into the
 * history. A run that an attempt was lost of keeps the counts of its last *settled* attempt until the next settlement
 * replaces them. Answers with what each admitted delivery is told.
 * Lock: the run rows (or their keys in the unique indexes). A run that changed since it was read, and a second open run
 * of the work, raise 40001 and 23505: the caller tries again. Clock: `at`, the database's.
 */
export const beginRunsFunction: SqlFile = (s) => `
create function ${s}.begin_runs(p_starts ${s}.run_start[], p_worker uuid)
returns jsonb[] language plpgsql as $$
declare
  v_answers jsonb[];
  v_reopened jsonb[];
  v_known integer;
begin
  insert into ${s}.operation_run
    (id, workspace_id, tenant_id, type, identity, work_key, status, attempt, fence, worker_id, created_at,
     started_at, delivery_id, delivery_attempt, delivery_maximum, context)
  select
    coalesce((x.request).run_id, (x.request).new_run_id), (x.request).workspace_id, (x.request).tenant_id,
    (x.request).type, x.identity, x.work_key, 'running', 1, x.fence, p_worker, x.at, x.at,
    (x.request).delivery_id, (x.request).delivery_attempt, (x.request).delivery_maximum, (x.request).context
  from unnest(p_starts) as x
  where x.known_run_id is null;
  v_answers := array(
    select jsonb_build_object(
      'n', (x.request).n, 'verdict', 'admitted', 'identity', x.identity, 'workKey', x.work_key,
      'lockKey', x.lock_key::text, 'fence', x.fence,
      'runId', coalesce((x.request).run_id, (x.request).new_run_id), 'attempt', 1,
      'createdAt', x.at, 'startedAt', x.at, 'context', (x.request).context)
    from unnest(p_starts) as x
    where x.known_run_id is null);

  v_known := cardinality(p_starts) - cardinality(v_answers);
  if v_known = 0 then return v_answers; end if;

  with run as (
    update ${s}.operation_run r set
      status = 'running',
      outcome = 'pending',
      attempt = r.attempt + 1,
      fence = x.fence,
      worker_id = p_worker,
      started_at = x.at,
      completed_at = null,
      delivery_id = (x.request).delivery_id,
      delivery_attempt = (x.request).delivery_attempt,
      delivery_maximum = (x.request).delivery_maximum,
      context = coalesce((x.request).context, r.context),
      reason_code = null,
      message = null,
      progress = null,
      canonical_run_id = null,
      attempt_history = case r.status
        when 'running' then ${s}.append_attempt(r.attempt_history, ${s}.attempt_entry(
          r, 'lost', case when exists (
            select from ${s}.worker_lease l
            where l.id = r.worker_id and l.retired_at is null and l.expires_at > clock_timestamp())
            then 'claim.lost' else 'worker.lost' end, null, null, null, null, x.at))
        when 'completed' then ${s}.append_attempt(r.attempt_history, ${s}.attempt_entry(
          r, r.outcome::text, r.reason_code, r.message, r.total, r.processed, r.failed, r.completed_at))
        else r.attempt_history
      end
    from unnest(p_starts) as x
    where r.id = x.known_run_id and r.status = x.known_status and r.fence is not distinct from x.known_fence
    returning jsonb_build_object(
      'n', (x.request).n, 'verdict', 'admitted', 'identity', x.identity, 'workKey', x.work_key,
      'lockKey', x.lock_key::text, 'fence', x.fence, 'runId', r.id, 'attempt', r.attempt,
      'createdAt', r.created_at, 'startedAt', x.at, 'context', r.context, 'attemptHistory', r.attempt_history)
      as answer
  )
  select array_agg(answer) into v_reopened from run;

  if coalesce(cardinality(v_reopened), 0) <> v_known then
    raise exception 'a run changed while it was being claimed' using errcode = '40001';
  end if;
  return v_answers || v_reopened;
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
) returns ${s}.operation_run language plpgsql as $$
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
