import type { SqlFile } from '@opsledger/core/guard'

/**
 * Effect: claims in the table's blocks `p_from` to `p_to` (exclusive) that nobody needs any more are deleted: free or
 * past their cooldown for at least `p_age_ms`, or held by a term retired that long ago without an open run. Answers
 * with their number.
 * Lock: the deleted rows; a row somebody is at is left for the next time. Clock: the database's.
 */
export const pruneClaimsFunction: SqlFile = (s) => `
create function ${s}.prune_claims(p_from bigint, p_to bigint, p_age_ms bigint)
returns integer language plpgsql as $$
declare
  v_before timestamptz := clock_timestamp() - p_age_ms * interval '1 millisecond';
  v_deleted integer;
begin
  delete from ${s}.job_claim where identity in (
    select c.identity from ${s}.job_claim c
    where c.ctid >= format('(%s,0)', p_from)::tid and c.ctid < format('(%s,0)', p_to)::tid
      and (coalesce(c.cooldown_until, c.settled_at) < v_before
        or (c.state = 'held'
          and exists (select from ${s}.worker_lease l where l.id = c.worker_id and l.retired_at < v_before)
          and not exists (select from ${s}.operation_run r where r.id = c.run_id and r.completed_at is null)))
    for update skip locked);
  get diagnostics v_deleted = row_count;
  return v_deleted;
end $$`

/** Effect: none. Core's `named_terms`, and the terms that held claims name: one scan of the claims. */
export const namedTermsFunction: SqlFile = (s) => `
create or replace function ${s}.named_terms() returns table (worker_id uuid)
language sql stable as $$
  select r.worker_id from ${s}.operation_run r where r.completed_at is null and r.worker_id is not null
  union all select c.worker_id from ${s}.job_claim c where c.state = 'held'
$$`
