import type { SqlFile } from '../migrations/migration.ts'
import { planSettings, writeRules } from './plan-settings.ts'

/**
 * Effect: what this process still executes, by fence, moves to its new term. The fence alone decides. Answers with the
 * fences that are still its own (`kept`) and with those whose row somebody has (`busy`), which is all of its own when the
 * term has been retired meanwhile; what was taken is in neither.
 * Lock: the run rows, in order; never waited for. Clock: none.
 */
export const adoptRunsFunction: SqlFile = (s) => `
create function ${s}.adopt_runs(p_executions jsonb, p_worker uuid)
returns jsonb language plpgsql${planSettings} as $$
declare
  i record;
  v_is_mine boolean;
  v_kept jsonb[] := '{}';
  v_busy jsonb[] := '{}';
begin${writeRules}
  for i in
    select * from jsonb_to_recordset(p_executions) as x(identity uuid, run_id uuid, fence bigint) order by run_id
  loop
    perform from ${s}.operation_run
    where id = i.run_id and fence = i.fence and status = 'running' for no key update skip locked;
    v_is_mine := found;
    if v_is_mine and exists (select from ${s}.worker_lease where id = p_worker and retired_at is null) then
      update ${s}.operation_run set worker_id = p_worker where id = i.run_id;
      v_kept := v_kept || to_jsonb(i.fence);
    elsif v_is_mine or exists (
      select from ${s}.operation_run where id = i.run_id and fence = i.fence and status = 'running') then
      v_busy := v_busy || to_jsonb(i.fence);
    end if;
  end loop;
  return jsonb_build_object('kept', v_kept, 'busy', v_busy);
end $$`
