import { planSettings, type SqlFile, transactionRules } from '@opsledger/core/guard'

/** The lock is the session's, or ends with the transaction. */
export const tryLock = (key: string) =>
  `case when p_session then pg_try_advisory_lock(${key}) else pg_try_advisory_xact_lock(${key}) end`

/**
 * That the tables know of nothing which could refuse this work or lead it to another run. `offset 0` keeps each look a
 * probe of its index: joined, on tables that were empty when the plan was made, they are read whole each time.
 */
const nothingIsKnown = (s: string, work: string, workspace: string, delivery: string) => `not exists (
        select from ${s}.job_claim c where c.identity = ${work} and (c.state = 'held'
          or (c.state = 'cooling' and c.cooldown_until > clock_timestamp())
          or exists (
            select from ${s}.operation_run r where r.id = c.run_id and (r.attempt_history is not null
              or (r.outcome = 'failed' and r.reason_code in ('worker.lost', 'delivery.lost'))) offset 0)) offset 0)
      and not exists (
        select from ${s}.job_claim o where o.work_key = ${work} and o.identity <> o.work_key offset 0)
      and not exists (
        select from ${s}.operation_run r
        where r.workspace_id = ${workspace} and r.work_key = ${work} and r.completed_at is null offset 0)
      and not exists (
        select from ${s}.operation_run r
        where r.delivery_id = ${delivery} and r.completed_at is not null and r.work_key = ${work} offset 0)`

/** A claim that was there before, where it can be had still; with the fence taken under its row lock. */
const takenAnew = (s: string) => `on conflict (identity) do update set
      fence = nextval('${s}.fence'),
      claimed_at = clock_timestamp(),
      settled_at = null,
      cooldown_until = null,
      worker_id = excluded.worker_id,
      run_id = excluded.run_id,
      state = 'held',
      delivery_id = excluded.delivery_id
    where c.state = 'free' or (c.state = 'cooling' and c.cooldown_until <= clock_timestamp())`

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
    ${tryLock('key')} order by n)
  into v_lock_keys, v_got
  from (select n, ${s}.lock_key(work) as key from unnest(v_works) with ordinality as q(work, n) offset 0) as k;

  -- look
  select array_agg(n order by n) into v_places
  from unnest(v_works, v_got, v_workspaces, v_deliveries)
    with ordinality as q(work, got, workspace_id, delivery_id, n)
  where got and ${nothingIsKnown(s, 'q.work', 'q.workspace_id', 'q.delivery_id')};

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
    ${takenAnew(s)}
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

/**
 * Effect: `admit_unopposed` for a single delivery, whose values are parameters: to make lists of rows and rows of lists
 * again costs a lone job more than all else. Where anything stands in its way, `admit` decides.
 *
 * Answers with the fence, the lock key and the time of what it admitted, or with what `admit` answered.
 * Locks, clock, 40001: as `admit_unopposed`.
 */
export const admitOneFunction: SqlFile = (s) => `
create function ${s}.admit_one(
  p_work uuid, p_run uuid, p_workspace text, p_tenant text, p_type text, p_delivery text, p_attempt integer,
  p_maximum integer, p_context jsonb, p_worker uuid, p_session boolean, p_unlocks text
) returns json language plpgsql${planSettings} as $$
declare
  v_lock_key bigint := ${s}.lock_key(p_work);
  v_fence bigint;
  v_at timestamptz;
begin${transactionRules}
  if p_unlocks <> '{}' then
    perform pg_advisory_unlock(key) from unnest(p_unlocks::bigint[]) as q(key);
  end if;
  if not exists (select from ${s}.worker_lease where id = p_worker and retired_at is null) then
    return '"term_retired"';
  end if;

  -- lock, and look
  if (${tryLock('v_lock_key')}) then
    if ${nothingIsKnown(s, 'p_work', 'p_workspace', 'p_delivery')} then
      -- claim
      insert into ${s}.job_claim as c
        (identity, work_key, lock_key, fence, claimed_at, worker_id, run_id, state, delivery_id)
      values
        (p_work, p_work, v_lock_key, nextval('${s}.fence'), clock_timestamp(), p_worker, p_run, 'held', p_delivery)
      ${takenAnew(s)}
      returning c.fence, c.claimed_at into v_fence, v_at;
      if not found then
        raise exception 'a claim changed while it was being taken' using errcode = '40001';
      end if;

      -- begin
      insert into ${s}.operation_run
        (id, workspace_id, tenant_id, type, identity, work_key, status, attempt, fence, worker_id, created_at,
         started_at, delivery_id, delivery_attempt, delivery_maximum, context)
      values
        (p_run, p_workspace, p_tenant, p_type, p_work, p_work, 'running', 1, v_fence, p_worker, v_at, v_at,
         p_delivery, p_attempt, p_maximum, p_context);
      return json_build_object('fence', v_fence, 'lockKey', v_lock_key::text, 'time', v_at);
    end if;
    if p_session then perform pg_advisory_unlock(v_lock_key); end if;
  end if;
  return ${s}.admit(jsonb_build_array(
    jsonb_build_object('records_run', true, 'live_fences', '[]'::jsonb, 'run', jsonb_build_object(
      'n', 0, 'identity', p_work, 'work_key', p_work, 'new_run_id', p_run, 'workspace_id', p_workspace,
      'tenant_id', p_tenant, 'type', p_type, 'is_system', false, 'delivery_id', p_delivery,
      'delivery_attempt', p_attempt, 'delivery_maximum', p_maximum, 'context', p_context))), p_worker, p_session);
end $$`
