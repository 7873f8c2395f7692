import type { SqlFile } from '../migrations/migration.ts'
import { planSettings, transactionRules } from './plan-settings.ts'

/** How an attempt ended, as the client sends it. */
export const runSettlementType: SqlFile = (s) => `
create type ${s}.run_settlement as (
  n integer,
  run_id uuid,
  identity uuid,
  fence bigint,
  status ${s}.run_status,
  outcome ${s}.run_outcome,
  total integer,
  processed integer,
  failed integer,
  item_failures jsonb,
  reason_code text,
  message text,
  cooldown_ms integer
)`

/**
 * Effect: the counts of a run are *replaced* by those of this attempt, and the run ends or waits for its retry, where
 * the run still is at the attempt's fence. Answers per settlement: `settled`, `already_settled` (this very attempt
 * was settled before and its reply was lost), `superseded` (a later fence has the run: nothing was changed).
 * Lock: the run rows, in the order of the batch. Clock: the database's, after the lock.
 */
export const settleRunsFunction: SqlFile = (s) => `
create function ${s}.settle_runs(p_settlements ${s}.run_settlement[])
returns jsonb[] language plpgsql as $$
declare
  v_answers jsonb[];
  v_others jsonb[];
begin
  with run as (
    update ${s}.operation_run r set
      status = i.status,
      outcome = i.outcome,
      total = i.total,
      processed = i.processed,
      failed = i.failed,
      item_failures = i.item_failures,
      reason_code = i.reason_code,
      message = i.message,
      progress = null,
      completed_at = case when i.status = 'completed' then clock_timestamp() end,
      attempt_history = case when i.status = 'completed' then r.attempt_history
        else ${s}.append_attempt(r.attempt_history, ${s}.attempt_entry(
          r, 'failed', i.reason_code, i.message, i.total, i.processed, i.failed, clock_timestamp())) end
    from unnest(p_settlements) as i
    where r.id = i.run_id and r.fence = i.fence and r.status = 'running'
    returning i.n, r.completed_at
  )
  select array_agg(jsonb_build_object('n', run.n, 'answer', 'settled', 'completedAt', run.completed_at))
  into v_answers from run;
  if cardinality(v_answers) = cardinality(p_settlements) then return v_answers; end if;

  select array_agg(jsonb_build_object('n', i.n, 'completedAt', r.completed_at, 'ending', ${s}.ending_of(r, i.fence),
    'answer', case when ${s}.was_settled(r, i.fence) then 'already_settled' else 'superseded' end))
  into v_others
  from unnest(p_settlements) as i
  left join ${s}.operation_run r on r.id = i.run_id
  where i.n <> all (array(select (a ->> 'n')::integer from unnest(v_answers) as a));
  return coalesce(v_answers, '{}') || coalesce(v_others, '{}');
end $$`

/** Effect, lock, clock: as `settle_runs`, for a batch of JSON; in the order of the runs, so that batches cannot cross. */
export const settleRunBatchFunction: SqlFile = (s) => `
create function ${s}.settle_run_batch(p_settlements jsonb)
returns jsonb language plpgsql${planSettings} as $$
begin${transactionRules}
  return to_jsonb(${s}.settle_runs(array(
    select x from jsonb_populate_recordset(null::${s}.run_settlement, p_settlements) as x order by (x).run_id)));
end $$`

/** Effect: none. Whether the attempt under this fence was settled: it is the run's last one, or in its history. */
export const wasSettledFunction: SqlFile = (s) => `
create function ${s}.was_settled(r ${s}.operation_run, p_fence bigint) returns boolean
language sql stable
return coalesce(
  (r.fence = p_fence and r.status = 'completed')
  or exists (
    select from jsonb_array_elements(r.attempt_history) as a
    where (a ->> 'fence')::bigint = p_fence and a ->> 'outcome' <> 'lost'), false)`

/** Effect: none. How the attempt under this fence ended, as it was settled; null when it was not. */
export const endingOfFunction: SqlFile = (s) => `
create function ${s}.ending_of(r ${s}.operation_run, p_fence bigint) returns jsonb
language sql stable
return case
  when r.fence = p_fence and r.status = 'completed'
    then jsonb_build_object('outcome', r.outcome, 'reasonCode', r.reason_code)
  else (
    select jsonb_build_object('outcome', a -> 'outcome', 'reasonCode', a -> 'reasonCode')
    from jsonb_array_elements(r.attempt_history) as a
    where (a ->> 'fence')::bigint = p_fence limit 1)
end`

/**
 * Effect: what operators see of running attempts; never the result. A run that is no longer at this fence is left.
 * Lock: the run rows. Clock: none.
 */
export const reportProgressFunction: SqlFile = (s) => `
create function ${s}.report_progress(p_reports jsonb)
returns integer language plpgsql${planSettings} as $$
declare
  v_written integer := 0;
  i record;
begin
  for i in
    select * from jsonb_to_recordset(p_reports) as x(run_id uuid, fence bigint, progress jsonb) order by run_id
  loop
    -- never waited for: settlements lock runs in the order of their claims
    update ${s}.operation_run set progress = i.progress
    where id = (select r.id from ${s}.operation_run r
      where r.id = i.run_id and r.fence = i.fence and r.status = 'running' for update skip locked);
    if found then v_written := v_written + 1; end if;
  end loop;
  return v_written;
end $$`
