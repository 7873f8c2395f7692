import type { SqlFile } from '../migrations/migration.ts'
import { planSettings, writeRules } from './plan-settings.ts'

/**
 * Effect: what this process still executes, by fence, moves to its new term; answers with the fences that are still
 * its own. The fence alone decides: what was taken meanwhile is missing from the answer.
 * Lock: the run rows, in order. Clock: none.
 */
export const adoptRunsFunction: SqlFile = (s) => `
create function ${s}.adopt_runs(p_executions jsonb, p_worker uuid)
returns jsonb language plpgsql${planSettings} as $$
declare
  i record;
  v_kept jsonb[] := '{}';
begin${writeRules}
  for i in
    select * from jsonb_to_recordset(p_executions) as x(identity uuid, run_id uuid, fence bigint) order by run_id
  loop
    update ${s}.operation_run set worker_id = p_worker
    where id = i.run_id and fence = i.fence and status = 'running';
    if found then v_kept := v_kept || to_jsonb(i.fence); end if;
  end loop;
  return to_jsonb(v_kept);
end $$`
