import { planSettings, type SqlFile, transactionRules } from '@opsledger/core/guard'

/**
 * Effect: as `sweep_runs`, and the claim that the lost worker left behind is free, without cooldown.
 * Lock: per run its advisory lock (tried), its lease, its claim row, its run row. Clock: the database's.
 */
export const sweepFunction: SqlFile = (s) => `
create function ${s}.sweep(
  p_workspace text, p_limits jsonb, p_default_limit_ms bigint, p_limit integer, p_after jsonb
) returns jsonb language plpgsql${planSettings} as $$
declare
  v_stale record;
  v_identity uuid;
  v_run ${s}.operation_run;
  v_closed jsonb[] := '{}';
  v_looked integer := 0;
  v_place jsonb;
begin${transactionRules}
  for v_stale in select * from ${s}.stale_runs(p_workspace, p_limits, p_default_limit_ms, p_limit, p_after) loop
    v_looked := v_looked + 1;
    v_place := v_stale.place;
    select identity into v_identity from ${s}.operation_run where id = v_stale.run_id;
    perform from ${s}.job_claim where identity = v_identity for update skip locked;
    continue when not found and exists (select from ${s}.job_claim where identity = v_identity);
    if v_stale.kind = 'lost' then
      v_run := ${s}.close_lost_run(v_stale.run_id, v_stale.fence);
    else
      v_run := ${s}.close_undelivered_run(v_stale.run_id, v_stale.limit_ms);
    end if;
    if v_run.id is not null then
      update ${s}.job_claim set state = 'free', settled_at = clock_timestamp(), fence = v_run.fence
      where identity = v_run.identity and run_id = v_run.id and fence = v_stale.fence and state = 'held';
      v_closed := v_closed || to_jsonb(v_run);
    end if;
  end loop;
  return jsonb_build_object('runs', v_closed, 'next', case when v_looked = p_limit then v_place end);
end $$`
