import type { SqlFile } from '../migrations/migration.ts'

/**
 * Effect: runs in the table's blocks `p_from` to `p_to` (exclusive) that completed at least `p_age_ms` ago are
 * deleted; answers with their number. An open run is never pruned.
 * Lock: the deleted rows; a row somebody is at is left for the next time. Clock: the database's.
 */
export const pruneRunsFunction: SqlFile = (s) => `
create function ${s}.prune_runs(p_from bigint, p_to bigint, p_age_ms bigint)
returns integer language plpgsql as $$
declare
  v_deleted integer;
begin
  delete from ${s}.operation_run where id in (
    select id from ${s}.operation_run
    where ctid >= format('(%s,0)', p_from)::tid and ctid < format('(%s,0)', p_to)::tid
      and completed_at < clock_timestamp() - p_age_ms * interval '1 millisecond'
    for update skip locked);
  get diagnostics v_deleted = row_count;
  return v_deleted;
end $$`

/**
 * Effect: terms that were retired, or ran out unnoticed, at least `p_age_ms` ago (a minute at the least: no admission under them
 * is in flight any more) and that nothing unfinished names are deleted; answers with their number.
 * Lock: the deleted rows. Clock: the database's.
 */
export const pruneLeasesFunction: SqlFile = (s) => `
create function ${s}.prune_leases(p_age_ms bigint)
returns integer language plpgsql as $$
declare
  v_deleted integer;
begin
  delete from ${s}.worker_lease l
  where coalesce(l.retired_at, l.expires_at)
      < clock_timestamp() - greatest(p_age_ms, 60000) * interval '1 millisecond'
    and l.id not in (select worker_id from ${s}.named_terms());
  get diagnostics v_deleted = row_count;
  return v_deleted;
end $$`

/** Effect: none. The terms that something unfinished names; a package that names terms elsewhere replaces it. */
export const namedTermsFunction: SqlFile = (s) => `
create function ${s}.named_terms() returns table (worker_id uuid)
language sql stable as $$
  select r.worker_id from ${s}.operation_run r where r.completed_at is null and r.worker_id is not null
$$`
