import { planSettings, type SqlFile, writeRules } from '@opsledger/core/guard'

/**
 * Effect: what this process still executes, by fence, moves to its new term, claim and run together. The fence alone
 * decides. Answers with the fences that are still its own (`kept`) and with those that it could not ask about because
 * somebody has their row (`busy`): one that waits in its host's commit must not keep its neighbours from moving; and all
 * of them are, when the term itself has been retired meanwhile: this statement comes late. What was taken is in neither.
 * Lock: the claim rows by identity, then their runs; never waited for. Clock: none.
 */
export const adoptFunction: SqlFile = (s) => `
create function ${s}.adopt(p_executions jsonb, p_worker uuid)
returns jsonb language plpgsql${planSettings} as $$
declare
  i record;
  v_runs boolean;
  v_kept jsonb[] := '{}';
  v_busy jsonb[] := '{}';
begin${writeRules}
  for i in
    select * from jsonb_to_recordset(p_executions) as x(identity uuid, run_id uuid, fence bigint)
    order by identity
  loop
    perform from ${s}.job_claim
    where identity = i.identity and fence = i.fence and state = 'held' for no key update skip locked;
    if not found then
      if exists (
        select from ${s}.job_claim where identity = i.identity and fence = i.fence and state = 'held') then
        v_busy := v_busy || to_jsonb(i.fence);
      end if;
      continue;
    end if;
    perform from ${s}.operation_run
    where id = i.run_id and fence = i.fence and status = 'running' for no key update skip locked;
    v_runs := found or i.run_id is null;
    if (not v_runs and exists (
        select from ${s}.operation_run where id = i.run_id and fence = i.fence and status = 'running'))
      or not exists (select from ${s}.worker_lease where id = p_worker and retired_at is null) then
      v_busy := v_busy || to_jsonb(i.fence);
      continue;
    end if;
    update ${s}.job_claim set worker_id = p_worker where identity = i.identity;
    if v_runs then
      update ${s}.operation_run set worker_id = p_worker where id = i.run_id;
      v_kept := v_kept || to_jsonb(i.fence);
    end if;
  end loop;
  return jsonb_build_object('kept', v_kept, 'busy', v_busy);
end $$`

/**
 * Effect: a claim that this process holds without executing it (the reply of its admission was lost, or its
 * settlement was given up) is free again, without cooldown; its run waits for a retry. Answers with the identities.
 * `p_suspects` says what might be one; `p_live_fences` lists what is executing up to `p_newest_fence`. What was claimed
 * after that is let be: this statement may come late, when nobody waits for it any more.
 * Lock: the claim row, then its run. Clock: the database's, under the lock.
 */
export const freeOrphansFunction: SqlFile = (s) => `
create function ${s}.free_orphans(p_suspects jsonb, p_worker uuid, p_live_fences jsonb, p_newest_fence bigint)
returns jsonb language plpgsql${planSettings} as $$
declare
  i record;
  v_claim ${s}.job_claim;
  v_freed jsonb[] := '{}';
begin${writeRules}
  for i in
    select distinct c.identity
    from jsonb_to_recordset(p_suspects) as x(identity uuid, work_key uuid, run_id uuid)
    join lateral (
      select x.identity
      union select r.identity from ${s}.operation_run r where r.id = x.run_id
      union select x.work_key
      union select k.identity from ${s}.job_claim k where k.work_key = x.work_key and k.identity <> k.work_key
    ) as c on true
    order by c.identity
  loop
    select * into v_claim from ${s}.job_claim
    where identity = i.identity and state = 'held' and worker_id = p_worker
      and fence <= p_newest_fence and not p_live_fences @> to_jsonb(fence) for update;
    continue when not found;
    update ${s}.job_claim set state = 'free', settled_at = clock_timestamp() where identity = i.identity;
    update ${s}.operation_run r set
      status = 'retrying',
      reason_code = 'claim.lost',
      message = 'The admission or the settlement of this attempt was lost with a connection.',
      progress = null,
      attempt_history = ${s}.append_attempt(r.attempt_history, ${s}.attempt_entry(
        r, 'lost', 'claim.lost', null, null, null, null, clock_timestamp()))
    where r.id = v_claim.run_id and r.fence = v_claim.fence and r.status = 'running';
    v_freed := v_freed || to_jsonb(i.identity);
  end loop;
  return to_jsonb(v_freed);
end $$`
