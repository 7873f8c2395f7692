import type { SqlFile } from '../migrations/migration.ts'
import { transactionRules } from './plan-settings.ts'

/**
 * Effect: none but its lock. Inside a host's transaction, last before its commit: the id of that transaction when the
 * run still executes under this fence, else null. What commits with this lock held was written under a fence that
 * nobody has taken over.
 * Lock: the run row, until the transaction ends. Clock: none.
 */
export const lockRunFunction: SqlFile = (s) => `
create function ${s}.lock_run(p_run_id uuid, p_fence bigint)
returns jsonb language plpgsql as $$
begin${transactionRules}
  perform from ${s}.operation_run where id = p_run_id and fence = p_fence and status = 'running' for no key update;
  return case when found then to_jsonb(pg_current_xact_id()::text) end;
end $$`

/**
 * Effect: none. What became of a transaction whose commit was not answered: `committed`, `aborted`, `in progress`;
 * null when the server has forgotten it.
 * Lock: none. Clock: none.
 */
export const transactionStatusFunction: SqlFile = (s) => `
create function ${s}.transaction_status(p_transaction text) returns jsonb
language sql volatile as $$ select to_jsonb(pg_xact_status(p_transaction::xid8)) $$`
