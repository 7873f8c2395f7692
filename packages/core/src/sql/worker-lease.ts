import type { SqlFile } from '../migrations/migration.ts'
import { writeRules } from './plan-settings.ts'

/**
 * Effect: the table of terms. A row is one registration of one worker process; it is renewed while the process
 * lives, and once `retired_at` is set it can never be renewed again.
 */
export const workerLeaseTable: SqlFile = (s) => `
create table ${s}.worker_lease (
  id uuid not null,
  host text not null,
  pid integer not null,
  started_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  retired_at timestamptz,
  constraint worker_lease_id_is_unique primary key (id),
  constraint worker_lease_expires_after_start check (expires_at >= started_at)
) with (fillfactor = 50)`

/**
 * Effect: a new term of this process, live for `p_lease_ms`.
 * Lock: the new row. Clock: the database's, at the write.
 */
export const registerTermFunction: SqlFile = (s) => `
create function ${s}.register_term(p_id uuid, p_host text, p_pid integer, p_lease_ms integer)
returns boolean language plpgsql as $$
begin${writeRules}
  insert into ${s}.worker_lease (id, host, pid, expires_at)
  values (p_id, p_host, p_pid, clock_timestamp() + p_lease_ms * interval '1 millisecond')
  on conflict (id) do nothing;
  return true;
end $$`

/**
 * Effect: the term lives `p_lease_ms` longer; false when it has been retired (or is unknown) and never can.
 * Lock: the one row. Clock: the database's, after the lock.
 */
export const renewTermFunction: SqlFile = (s) => `
create function ${s}.renew_term(p_id uuid, p_lease_ms integer)
returns boolean language plpgsql as $$
begin${writeRules}
  update ${s}.worker_lease set expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond'
  where id = p_id and retired_at is null;
  return found;
end $$`

/**
 * Effect: retires a term whose lease has run out; true when it is retired now, by whomever.
 * Lock: the one row, never waited for (a renewal or another contender is at it: then the answer is false, and
 * the caller asks again later). Clock: the database's, under the lock.
 */
export const retireTermFunction: SqlFile = (s) => `
create function ${s}.retire_expired_term(p_id uuid)
returns boolean language plpgsql as $$
declare
  v_retired_at timestamptz;
begin
  select retired_at into v_retired_at from ${s}.worker_lease where id = p_id for update skip locked;
  if not found then return false; end if;
  if v_retired_at is not null then return true; end if;
  update ${s}.worker_lease set retired_at = clock_timestamp()
  where id = p_id and retired_at is null and expires_at <= clock_timestamp();
  return found;
end $$`

/**
 * Effect: a process that stops retires its own term, so that whatever it could not settle may be taken at once.
 * Lock: the one row. Clock: the database's.
 */
export const retireOwnTermFunction: SqlFile = (s) => `
create function ${s}.retire_own_term(p_id uuid)
returns boolean language plpgsql as $$
begin${writeRules}
  update ${s}.worker_lease set retired_at = clock_timestamp() where id = p_id and retired_at is null;
  return found;
end $$`
