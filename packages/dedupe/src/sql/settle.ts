import { planSettings, requireReadCommitted, type SqlFile } from '@opsledger/core/guard'

/**
 * Effect: where a claim still is at the attempt's fence, its run ends (or waits for its retry) and the claim is free,
 * cooling down when the attempt was terminal. Otherwise nothing is changed. Answers as `settle_runs`.
 * Lock: the claim rows by identity, then their runs. Clock: the database's, after the lock.
 */
export const settleFunction: SqlFile = (s) => `
create function ${s}.settle(p_settlements jsonb)
returns jsonb language plpgsql${planSettings} as $$
declare
  i ${s}.run_settlement;
  v_claim ${s}.job_claim;
  v_run ${s}.operation_run;
  v_at timestamptz;
  v_answers jsonb[] := '{}';
begin${requireReadCommitted}
  for i in
    select (x).* from (
      select jsonb_populate_recordset(null::${s}.run_settlement, p_settlements) as x offset 0) as y
    order by (x).identity
  loop
    select * into v_claim from ${s}.job_claim where identity = i.identity and fence = i.fence for update;
    if found and v_claim.state = 'held' and (i.run_id is null or exists (
        select from ${s}.operation_run where id = i.run_id and fence = i.fence and status = 'running')) then
      v_at := clock_timestamp();
      update ${s}.job_claim set
        state = case when i.cooldown_ms > 0 then 'cooling' else 'free' end,
        settled_at = v_at,
        cooldown_until = case when i.cooldown_ms > 0 then v_at + i.cooldown_ms * interval '1 millisecond' end
      where identity = i.identity;
      if i.run_id is null then
        v_answers := v_answers || jsonb_build_object('n', i.n, 'answer', 'settled', 'completedAt', v_at);
      else
        v_answers := v_answers || (${s}.settle_runs(array[i]) -> 0);
      end if;
    else
      v_run := null;
      if i.run_id is not null then select * into v_run from ${s}.operation_run where id = i.run_id; end if;
      v_answers := v_answers || jsonb_build_object('n', i.n, 'completedAt', v_run.completed_at, 'answer',
        case when v_claim.state <> 'held' or ${s}.was_settled(v_run, i.fence)
          then 'already_settled' else 'superseded' end);
    end if;
  end loop;
  return to_jsonb(v_answers);
end $$`
