import type { SqlFile } from '../migrations/migration.ts'
import { transactionRules } from './plan-settings.ts'

/**
 * Effect: the run of a worker that is gone ends as `failed` / `worker.lost` under a new fence, with the counts of its
 * last settled attempt. Not a terminal completion: no cooldown, and a later delivery reopens it. Null when somebody
 * is alive behind it: its lease has not run out, its lock is held, or the run went on meanwhile.
 * Lock: the identity's advisory lock (tried), the lease row, the run row. Clock: the database's, under the locks.
 */
export const closeLostRunFunction: SqlFile = (s) => `
create function ${s}.close_lost_run(p_run_id uuid, p_fence bigint)
returns ${s}.operation_run language plpgsql as $$
declare
  v_run ${s}.operation_run;
begin
  select * into v_run from ${s}.operation_run where id = p_run_id and fence = p_fence and status = 'running';
  if not found then return null; end if;
  if not pg_try_advisory_xact_lock(${s}.lock_key(v_run.identity)) then return null; end if;
  if not ${s}.retire_expired_term(v_run.worker_id) then return null; end if;
  update ${s}.operation_run r set
    fence = nextval('${s}.fence'),
    status = 'completed',
    outcome = 'failed',
    reason_code = 'worker.lost',
    message = 'The worker that ran this attempt is gone: its lease ran out before the attempt was settled.',
    total = coalesce(r.total, 0),
    processed = coalesce(r.processed, 0),
    failed = coalesce(r.failed, 0),
    progress = null,
    completed_at = clock_timestamp()
  where r.id = p_run_id and r.fence = p_fence and r.status = 'running'
    and exists (select from ${s}.worker_lease l where l.id = r.worker_id and l.retired_at is not null)
  returning * into v_run;
  if not found then return null; end if;
  return v_run;
end $$`

/**
 * Effect: a run whose delivery never came (queued, or waiting for a retry) beyond its type's limit ends as `failed` /
 * `delivery.lost`. Not a terminal completion. Null when it went on meanwhile.
 * Lock: the identity's advisory lock (tried), the run row. Clock: the database's, under the locks.
 */
export const closeUndeliveredRunFunction: SqlFile = (s) => `
create function ${s}.close_undelivered_run(p_run_id uuid, p_limit_ms bigint)
returns ${s}.operation_run language plpgsql as $$
declare
  v_run ${s}.operation_run;
begin
  select * into v_run from ${s}.operation_run where id = p_run_id and status in ('queued', 'retrying');
  if not found then return null; end if;
  if not pg_try_advisory_xact_lock(${s}.lock_key(v_run.identity)) then return null; end if;
  update ${s}.operation_run r set
    status = 'completed',
    outcome = 'failed',
    reason_code = 'delivery.lost',
    message = 'No delivery of this run arrived within the limit of its type.',
    total = coalesce(r.total, 0),
    processed = coalesce(r.processed, 0),
    failed = coalesce(r.failed, 0),
    completed_at = clock_timestamp()
  where r.id = p_run_id and r.status in ('queued', 'retrying')
    and ${s}.waiting_since(r) <= clock_timestamp() - p_limit_ms * interval '1 millisecond'
  returning * into v_run;
  if not found then return null; end if;
  return v_run;
end $$`

/** Effect: none. Since when a run waits for a delivery: its creation, or the end of its last attempt. */
export const waitingSinceFunction: SqlFile = (s) => `
create function ${s}.waiting_since(r ${s}.operation_run) returns timestamptz
language sql stable
return greatest(r.created_at, (r.attempt_history -> -1 ->> 'endedAt')::timestamptz)`

/**
 * Effect: none. Runs a sweep should look at, oldest first: in execution under a lease that has run out, or waiting for
 * a delivery beyond the limit of their type (`p_limits`: `{"type": ms}`, else `p_default_limit_ms`). `p_after` is
 * the last one of the batch before: what could not be closed must not stand in the way of what comes after it.
 * Clock: the database's. Reads the index of open runs, so the price does not grow with the history.
 */
export const staleRunsFunction: SqlFile = (s) => `
create function ${s}.stale_runs(
  p_workspace text, p_limits jsonb, p_default_limit_ms bigint, p_limit integer, p_after jsonb
) returns table (run_id uuid, fence bigint, kind text, limit_ms bigint, place jsonb) language plpgsql stable as $$
begin
  return query
  select r.id, r.fence,
    case when r.status = 'running' then 'lost' else 'undelivered' end,
    coalesce((p_limits ->> r.type)::bigint, p_default_limit_ms),
    jsonb_build_object('createdAt', r.created_at, 'id', r.id)
  from ${s}.operation_run r
  left join ${s}.worker_lease l on l.id = r.worker_id
  where r.completed_at is null and (p_workspace is null or r.workspace_id = p_workspace)
    and (p_after is null
      or (r.created_at, r.id) > ((p_after ->> 'createdAt')::timestamptz, (p_after ->> 'id')::uuid))
    and case
      when r.status = 'running' then l.retired_at is not null or l.expires_at <= clock_timestamp()
      else ${s}.waiting_since(r) <= clock_timestamp()
        - coalesce((p_limits ->> r.type)::bigint, p_default_limit_ms) * interval '1 millisecond'
    end
  order by r.created_at, r.id
  limit p_limit;
end $$`

/**
 * Effect: closes a batch of stale runs, each at most once, and answers with them, and with the place where the next
 * batch begins (null: this was the last one). See the two functions above for what is locked and what is not
 * terminal about it.
 */
export const sweepRunsFunction: SqlFile = (s) => `
create function ${s}.sweep_runs(
  p_workspace text, p_limits jsonb, p_default_limit_ms bigint, p_limit integer, p_after jsonb
) returns jsonb language plpgsql as $$
declare
  v_stale record;
  v_run ${s}.operation_run;
  v_closed jsonb[] := '{}';
  v_looked integer := 0;
  v_place jsonb;
begin${transactionRules}
  for v_stale in select * from ${s}.stale_runs(p_workspace, p_limits, p_default_limit_ms, p_limit, p_after) loop
    v_looked := v_looked + 1;
    v_place := v_stale.place;
    if v_stale.kind = 'lost' then
      v_run := ${s}.close_lost_run(v_stale.run_id, v_stale.fence);
    else
      v_run := ${s}.close_undelivered_run(v_stale.run_id, v_stale.limit_ms);
    end if;
    if v_run.id is not null then v_closed := v_closed || to_jsonb(v_run); end if;
  end loop;
  return jsonb_build_object('runs', v_closed, 'next', case when v_looked = p_limit then v_place end);
end $$`
