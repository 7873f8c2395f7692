import type { SqlFile } from '../migrations/migration.ts'
import { planSettings, transactionRules } from './plan-settings.ts'

/**
 * Effect: each request starts the next attempt of its run under a new fence. This is admission without a guard: it
 * records and fences, and refuses nothing but another tenant's run. A second execution of the same work takes the
 * run over; the first is superseded. A delivery that comes again after its run was closed for its lost worker, or as
 * undelivered, reopens that run.
 * Lock: the run row. Clock: the database's, after the row was found.
 */
export const startRunsFunction: SqlFile = (s) => `
create function ${s}.start_runs(p_requests jsonb, p_worker uuid)
returns jsonb language plpgsql${planSettings} as $$
declare
  e ${s}.run_request;
  v_named ${s}.operation_run;
  v_open ${s}.operation_run;
  v_target ${s}.operation_run;
  v_starts ${s}.run_start[] := '{}';
  v_work uuid;
  v_at timestamptz;
  v_answers jsonb[] := '{}';
begin${transactionRules}
  for e in
    select (i).* from (select jsonb_populate_recordset(null::${s}.run_request, p_requests) as i offset 0) as q
    order by (i).work_key, (i).n
  loop
    v_named := null;
    v_open := null;
    if e.run_id is not null then
      select * into v_named from ${s}.operation_run where id = e.run_id;
      if found and (v_named.workspace_id, v_named.tenant_id, v_named.type)
        is distinct from (e.workspace_id, e.tenant_id, e.type) then
        v_answers := v_answers || jsonb_build_object('n', e.n, 'verdict', 'not_this_scope');
        continue;
      end if;
    end if;
    v_work := coalesce(v_named.work_key, e.work_key);
    select * into v_open from ${s}.operation_run
    where workspace_id = e.workspace_id and work_key = v_work and completed_at is null for update;
    if v_open.id is null and e.run_id is null then
      select * into v_named from ${s}.operation_run
      where delivery_id = e.delivery_id and completed_at is not null
        and work_key = v_work and outcome = 'failed'
        and reason_code in ('worker.lost', 'delivery.lost')
      order by created_at desc limit 1;
    end if;
    v_target := case when v_open.id is not null then v_open else v_named end;
    v_at := clock_timestamp();
    if v_open.id <> e.run_id and v_named.id is null then
      perform ${s}.skip_run(e, e.run_id, 'run.not_canonical', v_open.id, false, v_at);
    end if;
    v_starts := array[row(e, coalesce(v_target.identity, e.identity), v_work, v_target.id, v_target.status,
      v_target.fence, nextval('${s}.fence'), null, v_at)::${s}.run_start];
    v_answers := v_answers || ${s}.begin_runs(v_starts, p_worker);
  end loop;
  return to_jsonb(v_answers);
end $$`
