import { type SqlFile, writeRules } from '@opsledger/core/guard'

/**
 * Effect: none. The claims of an identity and of its work under other identities, each with its holder's term.
 * Clock: the database's, in `remainingMs`.
 */
export const explainFunction: SqlFile = (s) => `
create function ${s}.explain(p_identity uuid, p_work_key uuid)
returns jsonb language sql stable as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'state', c.state, 'identity', c.identity, 'lockKey', c.lock_key::text, 'fence', c.fence, 'runId', c.run_id,
    'attempt', r.attempt, 'runType', r.type,
    'deliveryId', c.delivery_id, 'workerId', c.worker_id, 'host', l.host, 'pid', l.pid,
    'claimedAt', c.claimed_at, 'settledAt', c.settled_at, 'cooldownUntil', c.cooldown_until,
    'leaseExpiresAt', l.expires_at,
    'leaseState', case when l.id is null then 'unknown' when l.retired_at is not null then 'retired'
      when l.expires_at <= clock_timestamp() then 'expired' else 'live' end,
    'remainingMs', greatest(0, ceil(1000 * extract(epoch from
      case c.state when 'held' then l.expires_at when 'cooling' then c.cooldown_until end - clock_timestamp())))
  ) order by c.state = 'held' desc, c.cooldown_until desc nulls last), '[]')
  from ${s}.job_claim c
  left join ${s}.worker_lease l on l.id = c.worker_id
  left join ${s}.operation_run r on r.id = c.run_id
  where c.identity = p_identity or c.identity = p_work_key
    or (c.work_key = p_work_key and c.identity <> c.work_key)
$$`

/**
 * Effect: the cooldown of an identity, and of its work under other identities, ends now. Answers with their number.
 * Lock: the claim rows. Clock: none.
 */
export const releaseFunction: SqlFile = (s) => `
create function ${s}.release(p_identity uuid, p_work_key uuid)
returns integer language plpgsql as $$
declare
  v_released integer;
begin${writeRules}
  update ${s}.job_claim set state = 'free', cooldown_until = null
  where state = 'cooling' and cooldown_until > clock_timestamp()
    and (identity in (p_identity, p_work_key) or (work_key = p_work_key and identity <> work_key));
  get diagnostics v_released = row_count;
  return v_released;
end $$`

/**
 * Effect: none. The finished run of work that is cooling down, or null.
 * Clock: the database's.
 */
export const coolingRunFunction: SqlFile = (s) => `
create function ${s}.cooling_run(p_identity uuid, p_work_key uuid)
returns jsonb language sql stable as $$
  select jsonb_build_object('run', to_jsonb(r), 'retryAfterMs',
    ceil(1000 * extract(epoch from c.cooldown_until - clock_timestamp())))
  from ${s}.job_claim c join ${s}.operation_run r on r.id = c.run_id
  where c.state = 'cooling' and c.cooldown_until > clock_timestamp()
    and (c.identity in (p_identity, p_work_key) or (c.work_key = p_work_key and c.identity <> c.work_key))
  order by c.cooldown_until desc limit 1
$$`
