import { planSettings, type SqlFile, transactionRules } from '@opsledger/core/guard'

/**
 * Effect: admission on the short way, for first deliveries of work that is named by its fingerprint: whatever nothing
 * stands in the way of is claimed and its run begun with four statements for the whole batch. What anything is known of
 * that could refuse it or lead it to another run is not judged here but handed to `admit`, in the same transaction.
 *
 * Nothing stands in the way when the advisory lock was had and, read after that, there is no open run of the work, no
 * claim of it under another identity, no ended run of this delivery, and its own claim is absent, free or past its
 * cooldown, with a last run that has no history and was not lost.
 *
 * The arguments are array literals, side by side and in the order of the works, so that opposite orders cannot deadlock;
 * text, because a host's driver has its own ideas of arrays. Answers with what was admitted, side by side too:
 * `places` (null: all of them), `fences`, `lockKeys`, `times`; and with what `admit` answered, as `others`.
 *
 * Before all that it lets go of this session's locks of `p_unlocks`: a worker that goes from job to job needs no
 * statement of its own for that.
 *
 * Lock, clock: as `admit`. What changed between two of its statements raises 40001: the caller tries again.
 */
export const admitUnopposedFunction: SqlFile = (s) => `
create function ${s}.admit_unopposed(
  p_works text, p_runs text, p_workspaces text, p_tenants text, p_types text, p_deliveries text, p_attempts text,
  p_maxima text, p_contexts text, p_worker uuid, p_session boolean, p_unlocks text
) returns json language plpgsql${planSettings} as $$
declare
  v_works uuid[] := p_works;
  v_runs uuid[] := p_runs;
  v_workspaces text[] := p_workspaces;
  v_tenants text[] := p_tenants;
  v_types text[] := p_types;
  v_deliveries text[] := p_deliveries;
  v_attempts integer[] := p_attempts;
  v_maxima integer[] := p_maxima;
  v_contexts jsonb[] := p_contexts;
  v_lock_keys bigint[];
  v_got boolean[];
  v_places integer[];
  v_others json;
  v_claimed uuid[];
  v_fences bigint[];
  v_times timestamptz[];
begin${transactionRules}
  if p_unlocks <> '{}' then
    perform pg_advisory_unlock(key) from unnest(p_unlocks::bigint[]) as q(key);
  end if;
  if not exists (select from ${s}.worker_lease where id = p_worker and retired_at is null) then
    return '"term_retired"';
  end if;

  -- lock
  select array_agg(key order by n), array_agg(
    case when p_session then pg_try_advisory_lock(key) else pg_try_advisory_xact_lock(key) end order by n)
  into v_lock_keys, v_got
  from (select n, ${s}.lock_key(work) as key from unnest(v_works) with ordinality as q(work, n) offset 0) as k;

  -- look; offset 0 keeps each look a probe of its index: joined, on tables that were empty when the plan was made, they
  -- are read whole each time
  select array_agg(n order by n) into v_places
  from unnest(v_works, v_got, v_workspaces, v_deliveries)
    with ordinality as q(work, got, workspace_id, delivery_id, n)
  where got
    and not exists (
      select from ${s}.job_claim c where c.identity = q.work and (c.state = 'held'
        or (c.state = 'cooling' and c.cooldown_until > clock_timestamp())
        or exists (
          select from ${s}.operation_run r where r.id = c.run_id and (r.attempt_history is not null
            or (r.outcome = 'failed' and r.reason_code in ('worker.lost', 'delivery.lost'))) offset 0)) offset 0)
    and not exists (
      select from ${s}.job_claim o where o.work_key = q.work and o.identity <> o.work_key offset 0)
    and not exists (
      select from ${s}.operation_run r
      where r.workspace_id = q.workspace_id and r.work_key = q.work and r.completed_at is null offset 0)
    and not exists (
      select from ${s}.operation_run r
      where r.delivery_id = q.delivery_id and r.completed_at is not null and r.work_key = q.work offset 0);

  if v_places is null or cardinality(v_places) < cardinality(v_works) then
    if p_session then
      perform pg_advisory_unlock(key) from unnest(v_lock_keys, v_got) with ordinality as q(key, got, n)
      where got and n <> all (coalesce(v_places, '{}'));
    end if;
    v_others := ${s}.admit((
      select jsonb_agg(jsonb_build_object('records_run', true, 'live_fences', '[]'::jsonb, 'run', jsonb_build_object(
        'n', n - 1, 'identity', work, 'work_key', work, 'new_run_id', run, 'workspace_id', workspace_id,
        'tenant_id', tenant_id, 'type', type, 'is_system', false, 'delivery_id', delivery_id,
        'delivery_attempt', attempt, 'delivery_maximum', maximum, 'context', context)))
      from unnest(v_works, v_runs, v_workspaces, v_tenants, v_types, v_deliveries, v_attempts, v_maxima, v_contexts)
        with ordinality as q(work, run, workspace_id, tenant_id, type, delivery_id, attempt, maximum, context, n)
      where n <> all (coalesce(v_places, '{}'))), p_worker, p_session);
    if v_others::text = '"term_retired"' then
      raise exception 'the term was retired while it was admitting' using errcode = '40001';
    end if;
    if v_places is null then return json_build_object('places', '{}'::integer[], 'others', v_others); end if;
    select array_agg(work order by n), array_agg(run order by n), array_agg(workspace_id order by n),
      array_agg(tenant_id order by n), array_agg(type order by n), array_agg(delivery_id order by n),
      array_agg(attempt order by n), array_agg(maximum order by n), array_agg(context order by n),
      array_agg(key order by n)
    into v_works, v_runs, v_workspaces, v_tenants, v_types, v_deliveries, v_attempts, v_maxima, v_contexts, v_lock_keys
    from unnest(v_works, v_runs, v_workspaces, v_tenants, v_types, v_deliveries, v_attempts, v_maxima, v_contexts,
        v_lock_keys)
      with ordinality as q(work, run, workspace_id, tenant_id, type, delivery_id, attempt, maximum, context, key, n)
    where n = any (v_places);
  else
    v_places := null;
  end if;

  -- claim
  with claim as (
    insert into ${s}.job_claim as c
      (identity, work_key, lock_key, fence, claimed_at, worker_id, run_id, state, delivery_id)
    select work, work, key, nextval('${s}.fence'), clock_timestamp(), p_worker, run, 'held', delivery_id
    from unnest(v_works, v_lock_keys, v_runs, v_deliveries) as q(work, key, run, delivery_id)
    on conflict (identity) do update set
      fence = nextval('${s}.fence'),
      claimed_at = clock_timestamp(),
      settled_at = null,
      cooldown_until = null,
      worker_id = excluded.worker_id,
      run_id = excluded.run_id,
      state = 'held',
      delivery_id = excluded.delivery_id
    where c.state = 'free' or (c.state = 'cooling' and c.cooldown_until <= clock_timestamp())
    returning c.identity, c.fence, c.claimed_at
  )
  select array_agg(identity), array_agg(fence), array_agg(claimed_at)
  into v_claimed, v_fences, v_times from claim;
  if v_claimed is distinct from v_works then
    raise exception 'a claim changed while it was being taken' using errcode = '40001';
  end if;

  -- begin
  insert into ${s}.operation_run
    (id, workspace_id, tenant_id, type, identity, work_key, status, attempt, fence, worker_id, created_at,
     started_at, delivery_id, delivery_attempt, delivery_maximum, context)
  select run, workspace_id, tenant_id, type, work, work, 'running', 1, fence, p_worker, at, at, delivery_id, attempt,
    maximum, context
  from unnest(v_works, v_runs, v_workspaces, v_tenants, v_types, v_deliveries, v_attempts, v_maxima, v_contexts,
      v_fences, v_times)
    as q(work, run, workspace_id, tenant_id, type, delivery_id, attempt, maximum, context, fence, at);

  return json_build_object('places', v_places, 'fences', v_fences, 'lockKeys', v_lock_keys::text[], 'times', v_times,
    'others', v_others);
end $$`
