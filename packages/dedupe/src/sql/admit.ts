import { planSettings, requireReadCommitted, type SqlFile } from '@opsledger/core/guard'

/**
 * Effect: for each request, the claim of its identity and the next attempt of its run, or a verdict that says why not.
 *
 * The order of every request:
 *   1. which run stands for this work, and so which identity is claimed (`v_target`);
 *   2. the advisory lock of that identity — of the session, or of this transaction — and, where the identity is a
 *      run's, this transaction's lock of the work key, so that two identities of one work are admitted in turn;
 *   3. everything again, read by statements that begin after the locks were taken;
 *   4. the verdict, or the claim: an upsert whose condition is judged on the locked row, with the fence taken then.
 *
 * Lock: nothing is waited for but rows (an advisory lock or a lease row that is taken answers `lock_busy`). A session
 * lock is kept only by an admitted request. Clock: the database's, under the locks.
 *
 * Verdicts: admitted, not_this_scope, already_terminal, overlap, not_canonical, cooldown, lock_busy, and `own_orphan`:
 * held by this very process under a fence that the request does not list as alive; sent again with that fence as
 * `orphan_fence`, it is taken over. A batch under a term that is retired is refused whole: `term_retired`.
 */
export const admitFunction: SqlFile = (s) => `
create function ${s}.admit(p_requests jsonb, p_worker uuid, p_session boolean)
returns jsonb language plpgsql${planSettings} as $$
declare
  q ${s}.claim_request;
  e ${s}.run_request;
  v_named ${s}.operation_run;
  v_open ${s}.operation_run;
  v_target_run ${s}.operation_run;
  v_ended ${s}.operation_run;
  v_run ${s}.operation_run;
  v_claim ${s}.job_claim;
  v_other ${s}.job_claim;
  v_lease ${s}.worker_lease;
  v_target uuid;
  v_work uuid;
  v_lock_key bigint;
  v_locked boolean;
  v_session_locked boolean;
  v_mine boolean;
  v_at timestamptz;
  v_fence bigint;
  v_verdict text;
  v_answers jsonb[] := '{}';
begin${requireReadCommitted}
  if not exists (select from ${s}.worker_lease where id = p_worker and retired_at is null) then
    return '"term_retired"';
  end if;
  for q in
    select (i).* from (select jsonb_populate_recordset(null::${s}.claim_request, p_requests) as i offset 0) as x
    order by ((i).run).identity, ((i).run).n
  loop
    e := q.run;
    v_target := e.identity;
    v_work := e.work_key;
    v_verdict := null;
    v_session_locked := false;

    for v_round in 1..4 loop
      -- 2. the locks of what is believed so far
      v_lock_key := ${s}.lock_key(v_target);
      if p_session then
        v_locked := pg_try_advisory_lock(v_lock_key);
        v_session_locked := v_locked;
      else
        v_locked := pg_try_advisory_xact_lock(v_lock_key);
      end if;
      if v_locked and v_target <> v_work then
        v_locked := pg_try_advisory_xact_lock(${s}.lock_key(v_work));
      end if;

      -- 1. and 3. the runs, read after the locks
      v_named := null;
      v_open := null;
      if q.records_run then
        if e.run_id is not null then
          select * into v_named from ${s}.operation_run where id = e.run_id;
          if found and (v_named.workspace_id, v_named.tenant_id, v_named.type)
            is distinct from (e.workspace_id, e.tenant_id, e.type) then
            v_verdict := 'not_this_scope';
            exit;
          end if;
        end if;
        select * into v_open from ${s}.operation_run
        where workspace_id = e.workspace_id and work_key = coalesce(v_named.work_key, e.work_key)
          and completed_at is null;
      end if;
      exit when v_work = coalesce(v_named.work_key, e.work_key)
        and v_target = coalesce(v_open.identity, v_named.identity, e.identity);

      -- believed wrongly: let go, and look again at the right place
      if v_session_locked then
        perform pg_advisory_unlock(v_lock_key);
        v_session_locked := false;
      end if;
      v_locked := false;
      v_work := coalesce(v_named.work_key, e.work_key);
      v_target := coalesce(v_open.identity, v_named.identity, e.identity);
      if v_round = 4 then v_verdict := 'lock_busy'; end if;
    end loop;

    v_claim := null;
    v_other := null;
    v_lease := null;
    v_ended := null;
    v_target_run := case when v_open.id is not null then v_open else v_named end;

    if v_verdict is null then
      select * into v_claim from ${s}.job_claim where identity = v_target;
      if v_claim.state = 'held' then
        select * into v_lease from ${s}.worker_lease where id = v_claim.worker_id;
      end if;
      v_at := clock_timestamp();

      -- 4. the verdict
      v_mine := v_claim.state = 'held' and v_claim.worker_id = p_worker;
      v_ended := ${s}.ended_delivery(e, v_work, v_named, q.records_run);
      if v_ended.id is not null then
        v_verdict := 'already_terminal';
      elsif v_claim.state = 'held' and not (v_locked and coalesce(
          case when v_mine then v_claim.fence = q.orphan_fence
            else v_lease.retired_at is not null or v_lease.expires_at <= v_at end, false)) then
        v_verdict := case
          when v_mine and v_locked and v_claim.fence <> all (coalesce(q.live_fences, '{}')) then 'own_orphan'
          when e.delivery_id = v_claim.delivery_id then 'overlap'
          when e.run_id <> v_claim.run_id then 'not_canonical'
          else 'overlap' end;
      elsif v_claim.state = 'cooling' and v_claim.cooldown_until > v_at then
        v_verdict := case when e.run_id <> v_claim.run_id then 'not_canonical' else 'cooldown' end;
      elsif not v_locked then
        v_verdict := 'lock_busy';
      else
        v_other := ${s}.cooling_claim(v_work, v_target, v_at);
        if v_other.identity is not null then
          v_verdict := case when e.run_id <> v_other.run_id then 'not_canonical' else 'cooldown' end;
        elsif v_claim.state = 'held' and v_lease.retired_at is null and not v_mine
          and not ${s}.retire_expired_term(v_claim.worker_id) then
          v_verdict := 'lock_busy';
        end if;
      end if;
    end if;

    -- 4. the claim: judged once more on the locked row
    if v_verdict is null then
      if q.records_run and v_target_run.id is null and e.run_id is null and v_claim.run_id is not null then
        v_target_run := ${s}.lost_run(v_claim.run_id, v_work);
      end if;
      insert into ${s}.job_claim as c
        (identity, work_key, lock_key, fence, claimed_at, worker_id, run_id, state, delivery_id)
      values
        (v_target, v_work, v_lock_key, nextval('${s}.fence'), clock_timestamp(), p_worker,
         case when q.records_run then coalesce(v_target_run.id, e.run_id, e.new_run_id) end, 'held', e.delivery_id)
      on conflict (identity) do update set
        work_key = excluded.work_key,
        fence = nextval('${s}.fence'),
        claimed_at = clock_timestamp(),
        settled_at = null,
        cooldown_until = null,
        worker_id = p_worker,
        run_id = excluded.run_id,
        state = 'held',
        delivery_id = excluded.delivery_id
      where c.state = 'free'
        or (c.state = 'cooling' and c.cooldown_until <= clock_timestamp())
        or (c.state = 'held' and c.worker_id = p_worker and c.fence = q.orphan_fence)
        or (c.state = 'held' and exists (
          select from ${s}.worker_lease l where l.id = c.worker_id and l.retired_at is not null))
      returning c.fence, c.claimed_at into v_fence, v_at;
      if not found then v_verdict := 'lock_busy'; end if;
    end if;

    if v_verdict is null then
      if q.records_run then
        if e.run_id is not null and v_named.id is null and v_target_run.id is not null then
          perform ${s}.skip_run(e, e.run_id, 'run.not_canonical', v_target_run.id, false, v_at);
        end if;
        v_run := ${s}.begin_run(e, v_target_run, v_fence, p_worker, v_at);
        v_answers := v_answers || ${s}.admitted(e.n, v_run, v_lock_key);
      else
        v_answers := v_answers || jsonb_build_object(
          'n', e.n, 'verdict', 'admitted', 'identity', v_target, 'workKey', v_work, 'lockKey', v_lock_key::text,
          'fence', v_fence, 'runId', null, 'attempt', null, 'createdAt', v_at, 'startedAt', v_at);
      end if;
    else
      if v_session_locked then perform pg_advisory_unlock(v_lock_key); end if;
      v_answers := v_answers || ${s}.refused(
        e, q.records_run, v_verdict, v_named,
        case when v_other.identity is not null then v_other else v_claim end, v_lease, v_ended, v_at);
    end if;
  end loop;
  return to_jsonb(v_answers);
end $$`

/**
 * Effect: none. The run that ended, other than `failed`, with this very delivery: it must not be executed again, at
 * any time. Without runs only the claim's last delivery is known.
 */
export const endedDeliveryFunction: SqlFile = (s) => `
create function ${s}.ended_delivery(
  e ${s}.run_request, p_work uuid, p_named ${s}.operation_run, p_records_run boolean
) returns ${s}.operation_run language plpgsql${planSettings} as $$
declare
  v_run ${s}.operation_run;
begin
  if not p_records_run then return null; end if;
  if p_named.attempt_history @> jsonb_build_array(jsonb_build_object('deliveryId', e.delivery_id)) and exists (
      select from jsonb_array_elements(p_named.attempt_history) as a
      where a ->> 'deliveryId' = e.delivery_id and a ->> 'outcome' not in ('failed', 'lost')) then
    return p_named;
  end if;
  select * into v_run from ${s}.operation_run
  where delivery_id = e.delivery_id and completed_at is not null and outcome <> 'failed'
    and workspace_id = e.workspace_id and tenant_id is not distinct from e.tenant_id
    and (id = e.run_id or work_key = p_work)
  order by completed_at desc limit 1;
  if not found then return null; end if;
  return v_run;
end $$`

/** Effect: none. A claim of the same work under another identity that is cooling down at `p_at`. */
export const coolingClaimFunction: SqlFile = (s) => `
create function ${s}.cooling_claim(p_work uuid, p_except uuid, p_at timestamptz)
returns ${s}.job_claim language plpgsql${planSettings} as $$
declare
  v_claim ${s}.job_claim;
begin
  if p_except <> p_work then
    select * into v_claim from ${s}.job_claim
    where identity = p_work and state = 'cooling' and cooldown_until > p_at;
    if found then return v_claim; end if;
  end if;
  select * into v_claim from ${s}.job_claim
  where work_key = p_work and identity <> work_key and identity <> p_except
    and state = 'cooling' and cooldown_until > p_at
  order by cooldown_until desc limit 1;
  if not found then return null; end if;
  return v_claim;
end $$`

/**
 * Effect: none. The last run of a claim when it ended without a terminal completion (its worker or its delivery was
 * lost): the next delivery reopens it instead of starting another.
 */
export const lostRunFunction: SqlFile = (s) => `
create function ${s}.lost_run(p_run_id uuid, p_work uuid)
returns ${s}.operation_run language plpgsql${planSettings} as $$
declare
  v_run ${s}.operation_run;
begin
  select * into v_run from ${s}.operation_run
  where id = p_run_id and work_key = p_work
    and status = 'completed' and outcome = 'failed' and reason_code in ('worker.lost', 'delivery.lost');
  if not found then return null; end if;
  return v_run;
end $$`

/**
 * Effect: what a refused delivery is told; and where the delivery's own run ends with it (another run stands for the
 * work, or a system job overlapped), that run is closed as skipped. Never for `retry_later`: that delivery will come
 * again and must find nothing that says it ended.
 * Lock: the skipped run's key. Clock: `p_at`.
 */
export const refusedFunction: SqlFile = (s) => `
create function ${s}.refused(
  e ${s}.run_request, p_records_run boolean, p_verdict text, p_named ${s}.operation_run, p_claim ${s}.job_claim,
  p_lease ${s}.worker_lease, p_ended ${s}.operation_run, p_at timestamptz
) returns jsonb language plpgsql${planSettings} as $$
declare
  v_at timestamptz := coalesce(p_at, clock_timestamp());
  v_holder_run ${s}.operation_run;
  v_run ${s}.operation_run;
  v_same_delivery boolean := p_claim.state = 'held' and p_claim.delivery_id = e.delivery_id;
  v_discard boolean;
  v_retry_after_ms bigint;
begin
  if p_verdict = 'not_this_scope' then return jsonb_build_object('n', e.n, 'verdict', p_verdict); end if;
  if p_verdict = 'own_orphan' then
    return jsonb_build_object('n', e.n, 'verdict', p_verdict, 'fence', p_claim.fence, 'identity', p_claim.identity,
      'runId', p_claim.run_id, 'deliveryId', p_claim.delivery_id, 'claimedAt', p_claim.claimed_at);
  end if;
  v_discard := not (p_verdict = 'lock_busy' or (p_verdict = 'overlap' and v_same_delivery));
  v_retry_after_ms := greatest(0, ceil(1000 * extract(epoch from case
    when p_verdict in ('cooldown', 'not_canonical') and p_claim.state = 'cooling' then p_claim.cooldown_until - v_at
    when p_claim.state = 'held' then p_lease.expires_at - v_at
  end)))::bigint;
  if p_records_run then
    if p_ended.id is not null then
      v_run := p_ended;
    else
      select * into v_holder_run from ${s}.operation_run where id = p_claim.run_id;
      v_run := v_holder_run;
      if p_verdict = 'not_canonical' then
        v_run := ${s}.skip_run(e, e.run_id, 'run.not_canonical', p_claim.run_id, true, v_at);
      elsif v_discard and p_verdict = 'overlap' and e.is_system and p_claim.run_id is not null then
        v_run := ${s}.skip_run(e, case when p_named.id is null then coalesce(e.run_id, e.new_run_id)
          else e.new_run_id end, 'run.overlap', p_claim.run_id, true, v_at);
      end if;
    end if;
  end if;
  return jsonb_build_object(
    'n', e.n, 'verdict', p_verdict, 'discard', v_discard, 'retryAfterMs', v_retry_after_ms,
    'holder', case when p_claim.identity is not null and p_ended.id is null then jsonb_build_object(
      'runId', p_claim.run_id, 'attempt', v_holder_run.attempt, 'workerId', p_claim.worker_id,
      'host', p_lease.host, 'pid', p_lease.pid, 'fence', p_claim.fence, 'deliveryId', p_claim.delivery_id,
      'since', case when p_claim.state = 'held' then p_claim.claimed_at else p_claim.settled_at end) end,
    'run', case when v_run.id is not null then to_jsonb(v_run) end);
end $$`
