import type { SqlFile } from '../migrations/migration.ts'
import { planSettings, transactionRules } from './plan-settings.ts'

/**
 * Effect: a queued run for work that is being dispatched, or the run that already stands for that work: `opened`,
 * `already_open` (the open run of the work), `exists` (the named run, which has ended), `not_this_scope`.
 * Lock: the new row's keys. Clock: the database's.
 */
export const openRunFunction: SqlFile = (s) => `
create function ${s}.open_run(p_request jsonb)
returns jsonb language plpgsql${planSettings} as $$
declare
  e ${s}.run_request := jsonb_populate_record(null::${s}.run_request, p_request);
  v_run ${s}.operation_run;
  v_work uuid := e.work_key;
begin${transactionRules}
  for v_round in 1..5 loop
    if e.run_id is not null then
      select * into v_run from ${s}.operation_run where id = e.run_id;
      if found then
        if (v_run.workspace_id, v_run.tenant_id, v_run.type)
          is distinct from (e.workspace_id, e.tenant_id, e.type) then
          return jsonb_build_object('state', 'not_this_scope');
        end if;
        if v_run.completed_at is null then
          return jsonb_build_object('state', 'already_open', 'run', to_jsonb(v_run));
        end if;
        v_work := v_run.work_key;
      end if;
    end if;
    select * into v_run from ${s}.operation_run
    where workspace_id = e.workspace_id and work_key = v_work and completed_at is null;
    if found then return jsonb_build_object('state', 'already_open', 'run', to_jsonb(v_run)); end if;
    if e.run_id is not null then
      select * into v_run from ${s}.operation_run where id = e.run_id;
      if found and v_run.completed_at is not null then
        return jsonb_build_object('state', 'exists', 'run', to_jsonb(v_run));
      end if;
    end if;
    insert into ${s}.operation_run
      (id, workspace_id, tenant_id, type, identity, work_key, status, context)
    values
      (coalesce(e.run_id, e.new_run_id), e.workspace_id, e.tenant_id, e.type, e.identity, e.work_key, 'queued',
       e.context)
    on conflict do nothing
    returning * into v_run;
    if found then return jsonb_build_object('state', 'opened', 'run', to_jsonb(v_run)); end if;
  end loop;
  raise exception 'the open run of this work changed at every look' using errcode = '40001';
end $$`
