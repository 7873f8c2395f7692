import { planSettings, type SqlFile, transactionRules } from '@opsledger/core/guard'

/**
 * Effect: for each request, the claim of its identity and the next attempt of its run, or a verdict that says why not.
 *
 *   1. believe: an identity per request (`v_target`), at first the one it was sent with;
 *   2. lock: the advisory lock of that identity — of the session, or of this transaction — and, where the identity is
 *      a run's, this transaction's lock of the work key, so that two identities of one work are admitted in turn;
 *   3. look: one statement that begins after the locks were taken reads all that decides. Where it shows that another
 *      run stands for the work, and so another identity: let go, believe that, and lock again;
 *   4. decide: a verdict, or
 *   5. claim: one upsert for all, judged once more on each locked row, with the fence taken then; and begin the runs.
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
  -- what is asked still, and the identity and the work believed for it, side by side; in the order of the identities,
  -- so that opposite orders cannot deadlock
  v_asks ${s}.claim_request[];
  v_target uuid[];
  v_work uuid[];
  -- 0: no lock, 1: the identity's, 2: the identity's and the work's
  v_got integer[];
  -- what was believed wrongly, for the next round
  v_again ${s}.claim_request[];
  v_again_target uuid[];
  v_again_work uuid[];
  seen record;
  v_true_target uuid;
  v_true_work uuid;
  v_known record;
  v_mine boolean;
  v_cooling boolean;
  v_at timestamptz;
  v_verdict text;
  v_orphans bigint[];
  v_targets uuid[] := '{}';
  v_starts ${s}.run_start[] := '{}';
  v_claimed uuid[];
  v_fences bigint[];
  v_ats timestamptz[];
  v_records_runs boolean;
  v_answers jsonb[] := '{}';
begin${transactionRules}
  if not exists (select from ${s}.worker_lease where id = p_worker and retired_at is null) then
    return '"term_retired"';
  end if;
  select array_agg(x order by (x.run).identity, (x.run).n), array_agg((x.run).identity order by (x.run).identity, (x.run).n),
    array_agg((x.run).work_key order by (x.run).identity, (x.run).n),
    array_agg(x.orphan_fence) filter (where x.orphan_fence is not null), bool_and(x.records_run)
  into v_asks, v_target, v_work, v_orphans, v_records_runs
  from jsonb_populate_recordset(null::${s}.claim_request, p_requests) as x;

  for v_round in 1..4 loop
    v_again := '{}';
    v_again_target := '{}';
    v_again_work := '{}';

    -- 2. lock
    select array_agg(got order by n) into v_got from (
      select k.n, case
        when not case when p_session then pg_try_advisory_lock(k.target_key)
          else pg_try_advisory_xact_lock(k.target_key) end then 0
        when k.target_key = k.work_key or pg_try_advisory_xact_lock(k.work_key) then 2
        else 1 end as got
      from (
        select n, ${s}.lock_key(target) as target_key, ${s}.lock_key(work) as work_key
        from unnest(v_target, v_work) with ordinality as p(target, work, n) offset 0) as k
      offset 0) as locked;

    -- 3. look; each at its index, whatever the size of the tables when the plan was made (offset 0 keeps them apart)
    for seen in
      select q.target, q.work, q.got, q.run as request, q.records_run, q.live_fences, q.orphan_fence,
        named.id as named_id, named.status as named_status, named.fence as named_fence,
        named.identity as named_identity, named.work_key as named_work_key, named.is_of_scope,
        named.has_history, named.canonical_id as named_canonical_id,
        open.id as open_id, open.status as open_status, open.fence as open_fence, open.identity as open_identity,
        lost.identity as lost_identity, c.claim, l.lease, ended.id as ended_id, k.identity as cooling_identity, k.run_id as cooling_run_id, other.is_at_it
      from unnest(v_asks, v_target, v_work, v_got)
        as q(run, records_run, live_fences, orphan_fence, target, work, got)
      left join lateral (
        select r.id, r.status, r.fence, r.identity, r.work_key, r.attempt_history is not null as has_history,
          r.canonical_run_id as canonical_id,
          (r.workspace_id, r.type) = ((q.run).workspace_id, (q.run).type)
            and r.tenant_id is not distinct from (q.run).tenant_id as is_of_scope
        from ${s}.operation_run r where q.records_run and r.id = (q.run).run_id offset 0) as named on true
      left join lateral (
        select r.id, r.status, r.fence, r.identity from ${s}.operation_run r
        where q.records_run and r.workspace_id = (q.run).workspace_id and r.completed_at is null
          and r.work_key = case when named.is_of_scope then named.work_key else (q.run).work_key end
        offset 0) as open on true
      left join lateral (
        -- work that was opened with a run id, and whose worker was lost: a delivery without one reopens that run
        select o.identity from ${s}.job_claim o join ${s}.operation_run r on r.id = o.run_id
        where q.records_run and (q.run).run_id is null and o.work_key = q.work and o.identity <> o.work_key
          and o.state = 'free' and r.completed_at is not null and r.outcome = 'failed'
          and r.reason_code in ('worker.lost', 'delivery.lost')
          and not exists (
            select from ${s}.job_claim w where w.identity = q.work and w.settled_at > o.settled_at)
        order by o.settled_at desc limit 1) as lost on open.id is null
      left join lateral (
        select x as claim from ${s}.job_claim x where x.identity = q.target offset 0) as c on true
      left join lateral (
        select x as lease from ${s}.worker_lease x
        where x.id = (c.claim).worker_id and (c.claim).state = 'held' offset 0) as l on true
      left join lateral (
        select r.id from ${s}.operation_run r
        where q.records_run and r.delivery_id = (q.run).delivery_id and r.completed_at is not null
          and r.outcome <> 'failed' and r.workspace_id = (q.run).workspace_id
          and r.tenant_id is not distinct from (q.run).tenant_id
          and (r.id = (q.run).run_id or r.work_key = q.work)
        limit 1) as ended on true
      left join lateral (
        select o.identity, o.run_id from ${s}.job_claim o
        where q.target <> q.work and o.identity = q.work
          and o.state = 'cooling' and o.cooldown_until > clock_timestamp()
        union all
        select o.identity, o.run_id from ${s}.job_claim o
        where o.work_key = q.work and o.identity <> o.work_key and o.identity <> q.target
          and o.state = 'cooling' and o.cooldown_until > clock_timestamp()
        limit 1) as k on true
      left join lateral (
        -- recorded requests find it by its open run
        select true as is_at_it from ${s}.job_claim o
        where not q.records_run and o.work_key = q.work and o.identity <> o.work_key and o.identity <> q.target
          and o.state = 'held' and exists (
            select from ${s}.worker_lease w where w.id = o.worker_id and w.retired_at is null)
        limit 1) as other on true
    loop
      v_verdict := null;
      v_at := clock_timestamp();
      if seen.named_id is not null and not seen.is_of_scope then
        v_verdict := 'not_this_scope';
      else
        v_true_work := coalesce(seen.named_work_key, (seen.request).work_key);
        v_true_target := coalesce(
          seen.open_identity, seen.named_identity, seen.lost_identity, (seen.request).identity);
        if v_true_work <> seen.work or v_true_target <> seen.target then
          if v_round < 4 then
            if p_session and seen.got > 0 then
              perform pg_advisory_unlock(${s}.lock_key(seen.target));
            end if;
            v_again := v_again ||
              row(seen.request, seen.records_run, seen.live_fences, seen.orphan_fence)::${s}.claim_request;
            v_again_target := v_again_target || v_true_target;
            v_again_work := v_again_work || v_true_work;
            continue;
          end if;
          v_verdict := 'lock_busy';
        end if;
      end if;

      -- 4. decide
      if v_verdict is null then
        v_mine := (seen.claim).state = 'held' and (seen.claim).worker_id = p_worker;
        v_cooling := coalesce((seen.claim).state = 'cooling' and (seen.claim).cooldown_until > v_at, false);
        if seen.ended_id is null and seen.has_history then
          seen.ended_id := ${s}.ended_in_history(seen.named_id, (seen.request).delivery_id, v_cooling);
        elsif seen.ended_id is null and seen.records_run and seen.open_id is null and not v_cooling
          and seen.cooling_identity is null and coalesce(seen.named_canonical_id, (seen.claim).run_id) is not null then
          seen.ended_id := ${s}.ended_in_history(
            coalesce(seen.named_canonical_id, (seen.claim).run_id), (seen.request).delivery_id, false);
        end if;
        if seen.ended_id is not null then
          v_verdict := 'already_terminal';
        elsif (seen.claim).state = 'held' then
          -- what the process still executes stays its own, also where its term was retired and it moves to another
          if not (seen.got = 2 and (seen.claim).fence <> all (coalesce(seen.live_fences, '{}')) and coalesce(
              case when v_mine then (seen.claim).fence = seen.orphan_fence
                else (seen.lease).retired_at is not null or (seen.lease).expires_at <= v_at end, false)) then
            v_verdict := case
              -- its lock may still be with a session of this process that the server has not ended yet
              when v_mine and (seen.claim).fence <> all (coalesce(seen.live_fences, '{}'))
                then case when seen.got = 2 then 'own_orphan' else 'lock_busy' end
              when (seen.request).delivery_id = (seen.claim).delivery_id then 'overlap'
              when (seen.request).run_id <> (seen.claim).run_id and not (seen.request).is_system then 'not_canonical'
              else 'overlap' end;
          end if;
        elsif v_cooling then
          v_verdict := case when (seen.request).run_id <> (seen.claim).run_id then 'not_canonical'
            else 'cooldown' end;
        end if;
        if v_verdict is null then
          if seen.got < 2 or seen.is_at_it or seen.target = any (v_targets) then
            v_verdict := 'lock_busy';
          elsif seen.cooling_identity is not null then
            v_verdict := case when (seen.request).run_id <> seen.cooling_run_id then 'not_canonical'
              else 'cooldown' end;
          elsif (seen.claim).state = 'held' and not v_mine and (seen.lease).retired_at is null then
            if not ${s}.retire_expired_term((seen.claim).worker_id) then v_verdict := 'lock_busy'; end if;
          end if;
        end if;
      end if;

      if v_verdict is not null then
        if p_session and seen.got > 0 then perform pg_advisory_unlock(${s}.lock_key(seen.target)); end if;
        v_answers := v_answers || ${s}.refused(seen.request, seen.records_run, v_verdict,
          case when v_verdict <> 'not_this_scope' then coalesce(seen.open_id, seen.named_id) end,
          seen.claim, seen.lease, seen.cooling_identity, seen.ended_id, v_at);
        continue;
      end if;
      if seen.open_id is not null then
        v_known := row(seen.open_id, seen.open_status, seen.open_fence);
      elsif seen.named_id is not null then
        v_known := row(seen.named_id, seen.named_status, seen.named_fence);
      else
        v_known := row(null::uuid, null::${s}.run_status, null::bigint);
        if (seen.claim).run_id is not null and seen.records_run and (seen.request).run_id is null then
          v_known := ${s}.lost_run((seen.claim).run_id, seen.work);
        end if;
      end if;
      v_targets := v_targets || seen.target;
      v_starts := v_starts || row(seen.request, seen.target, seen.work, v_known.f1, v_known.f2, v_known.f3,
        null, ${s}.lock_key(seen.target), null)::${s}.run_start;
    end loop;
    exit when cardinality(v_again) = 0;
    v_asks := v_again;
    v_target := v_again_target;
    v_work := v_again_work;
  end loop;

  if cardinality(v_starts) = 0 then return to_jsonb(v_answers); end if;

  -- 5. claim
  with claim as (
    insert into ${s}.job_claim as c
      (identity, work_key, lock_key, fence, claimed_at, worker_id, run_id, state, delivery_id)
    select x.identity, x.work_key, x.lock_key, nextval('${s}.fence'), clock_timestamp(), p_worker,
      case when v_records_runs
        then coalesce(x.known_run_id, (x.request).run_id, (x.request).new_run_id) end,
      'held', (x.request).delivery_id
    from unnest(v_starts) as x order by x.identity
    on conflict (identity) do update set
      work_key = excluded.work_key,
      fence = nextval('${s}.fence'),
      claimed_at = clock_timestamp(),
      settled_at = null,
      cooldown_until = null,
      worker_id = excluded.worker_id,
      run_id = excluded.run_id,
      state = 'held',
      delivery_id = excluded.delivery_id
    where c.state = 'free'
      or (c.state = 'cooling' and c.cooldown_until <= clock_timestamp())
      or (c.state = 'held' and exists (
        select from ${s}.worker_lease l where l.id = c.worker_id and l.retired_at is not null))
      or (c.state = 'held' and c.worker_id = p_worker and c.fence = any (v_orphans))
    returning c.identity, c.fence, c.claimed_at
  )
  select array_agg(identity order by identity), array_agg(fence order by identity),
    array_agg(claimed_at order by identity)
  into v_claimed, v_fences, v_ats from claim;

  if coalesce(cardinality(v_claimed), 0) < cardinality(v_starts) then
    v_answers := v_answers || array(
      select ${s}.lock_lost(x.request, case when p_session then x.lock_key end)
      from unnest(v_starts) as x where x.identity <> all (coalesce(v_claimed, '{}')));
    v_starts := array(select x from unnest(v_starts) as x where x.identity = any (v_claimed));
    if cardinality(v_starts) = 0 then return to_jsonb(v_answers); end if;
  end if;
  -- both in the order of the identities, one of each: side by side
  v_starts := array(
    select row(x.request, x.identity, x.work_key, x.known_run_id, x.known_status, x.known_fence, x.claim_fence,
      x.lock_key, x.claimed_at)::${s}.run_start
    from unnest(array(select x from unnest(v_starts) as x order by x.identity), v_fences, v_ats)
      as x(request, identity, work_key, known_run_id, known_status, known_fence, fence, lock_key, at,
        claim_fence, claimed_at));
  if v_records_runs then
    perform ${s}.skip_run(x.request, (x.request).run_id, 'run.not_canonical', x.known_run_id, false, x.at)
    from unnest(v_starts) as x where (x.request).run_id <> x.known_run_id;
    return to_jsonb(v_answers || ${s}.begin_runs(v_starts, p_worker));
  end if;
  return to_jsonb(v_answers || array(
    select jsonb_build_object(
      'n', (x.request).n, 'verdict', 'admitted', 'identity', x.identity, 'workKey', x.work_key,
      'lockKey', x.lock_key::text, 'fence', x.fence, 'runId', null, 'attempt', null,
      'createdAt', x.at, 'startedAt', x.at)
    from unnest(v_starts) as x));
end $$`

/**
 * Effect: none. The last run of a claim when it ended without a terminal completion (its worker or its delivery was
 * lost): the next delivery reopens it instead of starting another.
 */
export const lostRunFunction: SqlFile = (s) => `
create function ${s}.lost_run(p_run_id uuid, p_work uuid, out f1 uuid, out f2 ${s}.run_status, out f3 bigint)
language plpgsql stable as $$
begin
  select id, status, fence into f1, f2, f3 from ${s}.operation_run
  where id = p_run_id and work_key = p_work
    and status = 'completed' and outcome = 'failed' and reason_code in ('worker.lost', 'delivery.lost');
end $$`

/** Effect: lets go of a session's lock whose row was not to be had after all. */
export const lockLostFunction: SqlFile = (s) => `
create function ${s}.lock_lost(e ${s}.run_request, p_lock_key bigint) returns jsonb
language plpgsql as $$
begin
  if p_lock_key is not null then perform pg_advisory_unlock(p_lock_key); end if;
  return jsonb_build_object('n', e.n, 'verdict', 'lock_busy', 'discard', false, 'retryAfterMs', 0,
    'holder', null, 'run', null);
end $$`

/**
 * Effect: none. The run, when this very delivery has nothing more to do in it: one of its attempts ended it, other than
 * as `failed` (a run id that was opened again later), or it had an attempt of the run and another delivery ended it. While
 * that run cools down the verdict is `cooldown`, which says more.
 */
export const endedInHistoryFunction: SqlFile = (s) => `
create function ${s}.ended_in_history(p_run_id uuid, p_delivery_id text, p_is_cooling boolean) returns uuid
language sql stable as $$
  select r.id from ${s}.operation_run r, jsonb_array_elements(r.attempt_history) as a
  where r.id = p_run_id and a ->> 'deliveryId' = p_delivery_id
    and (a ->> 'outcome' not in ('failed', 'lost')
      or (not p_is_cooling and r.status = 'completed' and r.outcome not in ('failed', 'skipped')))
  limit 1
$$`

/**
 * Effect: none. Whether this delivery had an attempt of the run before the one it shows. Such a delivery is a retry that
 * its queue cares for: discarded for the delivery that executes now, which may have been discarded for it before, both
 * would be gone.
 */
export const hadAttemptFunction: SqlFile = (s) => `
create function ${s}.had_attempt(p_run_id uuid, p_delivery_id text) returns boolean
language sql stable as $$
  select coalesce((
    select r.attempt_history @> jsonb_build_array(jsonb_build_object('deliveryId', p_delivery_id))
    from ${s}.operation_run r where r.id = p_run_id), false)
$$`

/**
 * Effect: what a refused delivery is told; and where the delivery's own run ends with it (another run stands for the
 * work, or a system job overlapped), that run is closed as skipped. Never for `retry_later`: that delivery will come
 * again and must find nothing that says it ended.
 * Lock: the skipped run's key. Clock: `p_at`.
 */
export const refusedFunction: SqlFile = (s) => `
create function ${s}.refused(
  e ${s}.run_request, p_records_run boolean, p_verdict text, p_known_run_id uuid, p_claim ${s}.job_claim,
  p_lease ${s}.worker_lease, p_cooling_identity uuid, p_ended_run_id uuid, p_at timestamptz
) returns jsonb language plpgsql as $$
declare
  v_claim ${s}.job_claim := p_claim;
  v_holder_attempt integer;
  v_run ${s}.operation_run;
  v_run_id uuid;
  v_discard boolean;
  v_wait interval;
begin
  if p_verdict = 'not_this_scope' then return jsonb_build_object('n', e.n, 'verdict', p_verdict); end if;
  if p_verdict = 'own_orphan' then
    return jsonb_build_object('n', e.n, 'verdict', p_verdict, 'fence', v_claim.fence);
  end if;
  v_discard := not (p_verdict = 'lock_busy'
    or (p_verdict in ('overlap', 'not_canonical') and coalesce(v_claim.state = 'held', false)
      and (v_claim.delivery_id = e.delivery_id
        or (p_records_run and ${s}.had_attempt(v_claim.run_id, e.delivery_id)))));
  if p_verdict in ('cooldown', 'not_canonical') and p_cooling_identity is not null
    and not coalesce(v_claim.state = 'held' or v_claim.cooldown_until > p_at, false) then
    select * into v_claim from ${s}.job_claim where identity = p_cooling_identity;
  end if;
  v_wait := case when p_verdict <> 'already_terminal' then case v_claim.state when 'cooling' then v_claim.cooldown_until when 'held' then p_lease.expires_at end end - p_at;
  if p_records_run then
    -- the run may have gone on since the claim was read
    select case when r.fence = v_claim.fence then r.attempt else (
        select (a ->> 'attempt')::integer from jsonb_array_elements(r.attempt_history) as a
        where (a ->> 'fence')::bigint = v_claim.fence) end
    into v_holder_attempt from ${s}.operation_run r where r.id = v_claim.run_id;
    v_run_id := coalesce(p_ended_run_id, v_claim.run_id);
    if p_verdict = 'not_canonical' and v_discard then
      v_run_id := e.run_id;
      perform ${s}.skip_run(e, e.run_id, 'run.not_canonical', v_claim.run_id, true, p_at);
    elsif p_verdict = 'overlap' and v_discard and e.is_system and v_claim.run_id is not null then
      v_run_id := case when e.run_id is null or e.run_id = v_claim.run_id or e.run_id = p_known_run_id
        then e.new_run_id else e.run_id end;
      perform ${s}.skip_run(e, v_run_id, 'run.overlap', v_claim.run_id, true, p_at);
    end if;
    select * into v_run from ${s}.operation_run where id = v_run_id;
  end if;
  return jsonb_build_object(
    'n', e.n, 'verdict', p_verdict, 'discard', v_discard,
    'retryAfterMs', greatest(0, ceil(1000 * extract(epoch from v_wait)))::bigint,
    'holder', case when v_claim.identity is not null and p_verdict not in ('already_terminal', 'lock_busy') then
      jsonb_build_object(
        'runId', v_claim.run_id, 'attempt', v_holder_attempt, 'workerId', v_claim.worker_id,
        'host', p_lease.host, 'pid', p_lease.pid, 'fence', v_claim.fence, 'deliveryId', v_claim.delivery_id,
        'since', case when v_claim.state = 'held' then v_claim.claimed_at else v_claim.settled_at end) end,
    'run', case when v_run.id is not null then to_jsonb(v_run) end);
end $$`
