import { type SqlFile, transactionRules } from '@opsledger/core/guard'

/**
 * Effect: none but its locks. Inside a host's transaction, last before its commit: the id of that transaction when the
 * claim, and the run if it has one, are still at this fence, else null.
 * Lock: the claim row, then the run row, until the transaction ends; so a settlement waits for the commit. Clock: none.
 */
export const lockClaimFunction: SqlFile = (s) => `
create function ${s}.lock_claim(p_identity uuid, p_fence bigint, p_run_id uuid)
returns jsonb language plpgsql as $$
begin${transactionRules}
  perform from ${s}.job_claim where identity = p_identity and fence = p_fence and state = 'held' for no key update;
  if not found then return null; end if;
  if p_run_id is not null then return ${s}.lock_run(p_run_id, p_fence); end if;
  return to_jsonb(pg_current_xact_id()::text);
end $$`
