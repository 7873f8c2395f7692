import { planSettings, type SqlFile, transactionRules } from '@opsledger/core/guard'

/**
 * Effect: where a claim still is at the attempt's fence, its run ends (or waits for its retry) and the claim is free,
 * cooling down when the attempt was terminal. A run that was taken over without its claim (by an operation that only
 * records) is let be, and the claim is free at once. Otherwise nothing is changed. Answers as `settle_runs`.
 * Lock: the claim rows by identity, then their runs; each is judged by what was read under its lock. Clock: the
 * database's; cooldowns begin after all of these locks.
 */
export const settleFunction: SqlFile = (s) => `
create function ${s}.settle(p_settlements jsonb)
returns jsonb language plpgsql${planSettings} as $$
declare
  v_settlements ${s}.run_settlement[];
  v_held ${s}.run_settlement[];
  v_settled integer[];
  v_answers jsonb[] := '{}';
begin${transactionRules}
  select array_agg(x order by x.identity) into v_settlements
  from jsonb_populate_recordset(null::${s}.run_settlement, p_settlements) as x;

  with held as (
    select i from unnest(v_settlements) as i
    join ${s}.job_claim c on c.identity = i.identity and c.fence = i.fence and c.state = 'held'
    for update of c
  )
  select array_agg(i) into v_held from held;

  if v_held is not null then
    if (v_held[1]).run_id is null then
      v_answers := array(
        select jsonb_build_object('n', x.n, 'answer', 'settled', 'completedAt', clock_timestamp())
        from unnest(v_held) as x);
    else
      v_answers := ${s}.settle_runs(v_held);
    end if;
    v_settled := array(select (a ->> 'n')::integer from unnest(v_answers) as a where a ->> 'answer' = 'settled');

    update ${s}.job_claim c set
      state = case when i.n = any (v_settled) and i.cooldown_ms > 0 then 'cooling' else 'free' end,
      settled_at = i.at,
      cooldown_until = case when i.n = any (v_settled) and i.cooldown_ms > 0
        then i.at + i.cooldown_ms * interval '1 millisecond' end
    from (select x.identity, x.n, x.cooldown_ms, clock_timestamp() as at from unnest(v_held) as x offset 0) as i
    where c.identity = i.identity;
    if cardinality(v_held) = cardinality(v_settlements) then return to_jsonb(v_answers); end if;
  end if;

  return to_jsonb(v_answers || array(
    select jsonb_build_object('n', i.n, 'completedAt', r.completed_at, 'ending', ${s}.ending_of(r, i.fence), 'answer',
      -- where no run says what became of the attempt, its claim does
      case when case when r.id is null then c.state <> 'held' else ${s}.was_settled(r, i.fence) end
        then 'already_settled' else 'superseded' end)
    from unnest(v_settlements) as i
    left join ${s}.job_claim c on c.identity = i.identity and c.fence = i.fence
    left join ${s}.operation_run r on r.id = i.run_id
    where i.n <> all (array(select x.n from unnest(v_held) as x))));
end $$`

/**
 * Effect: `settle` for a single settlement of a recorded run, whose values are parameters (as with `admit_one`). Where
 * the claim or its run is not at the attempt's fence any more, `settle` decides, and answers.
 * Lock: the claim row, then its run. Clock: the database's; the cooldown begins after both locks.
 */
export const settleOneFunction: SqlFile = (s) => `
create function ${s}.settle_one(
  p_run uuid, p_identity uuid, p_fence bigint, p_status ${s}.run_status, p_outcome ${s}.run_outcome, p_total integer,
  p_processed integer, p_failed integer, p_item_failures jsonb, p_reason_code text, p_message text,
  p_cooldown_ms integer
) returns jsonb language plpgsql${planSettings} as $$
declare
  v_completed_at timestamptz;
  v_at timestamptz;
begin${transactionRules}
  perform from ${s}.job_claim where identity = p_identity and fence = p_fence and state = 'held' for update;
  if found then
    update ${s}.operation_run r set
      status = p_status,
      outcome = p_outcome,
      total = p_total,
      processed = p_processed,
      failed = p_failed,
      item_failures = p_item_failures,
      reason_code = p_reason_code,
      message = p_message,
      progress = null,
      completed_at = case when p_status = 'completed' then clock_timestamp() end,
      attempt_history = case when p_status = 'completed' then r.attempt_history
        else ${s}.append_attempt(r.attempt_history, ${s}.attempt_entry(
          r, 'failed', p_reason_code, p_message, p_total, p_processed, p_failed, clock_timestamp())) end
    where r.id = p_run and r.fence = p_fence and r.status = 'running'
    returning r.completed_at into v_completed_at;
    if found then
      v_at := clock_timestamp();
      update ${s}.job_claim set
        state = case when p_cooldown_ms > 0 then 'cooling' else 'free' end,
        settled_at = v_at,
        cooldown_until = case when p_cooldown_ms > 0 then v_at + p_cooldown_ms * interval '1 millisecond' end
      where identity = p_identity;
      return jsonb_build_array(jsonb_build_object('n', 0, 'answer', 'settled', 'completedAt', v_completed_at));
    end if;
  end if;
  return ${s}.settle(jsonb_build_array(jsonb_build_object(
    'n', 0, 'run_id', p_run, 'identity', p_identity, 'fence', p_fence, 'status', p_status, 'outcome', p_outcome,
    'total', p_total, 'processed', p_processed, 'failed', p_failed, 'item_failures', p_item_failures,
    'reason_code', p_reason_code, 'message', p_message, 'cooldown_ms', p_cooldown_ms)));
end $$`
