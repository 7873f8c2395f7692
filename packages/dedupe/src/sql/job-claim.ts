import { rowRules, type SqlFile } from '@opsledger/core/guard'

/**
 * Effect: the cooldown table. One row per identity that was ever claimed (and not pruned): who holds it, or who held
 * it last and until when it is refused. No index names a column that a claim or a settlement changes, so both are
 * heap-only updates and their price does not grow with the table.
 */
export const jobClaimTable: SqlFile = (s) => `
create table ${s}.job_claim (
  identity uuid not null,
  work_key uuid not null,
  lock_key bigint not null,
  fence bigint not null,
  claimed_at timestamptz not null,
  settled_at timestamptz,
  cooldown_until timestamptz,
  worker_id uuid not null,
  run_id uuid,
  state text not null,
  delivery_id text not null,
  constraint claim_identity_is_unique primary key (identity)
) with (fillfactor = 70)`

export const claimRules = rowRules('job_claim', {
  claim_state_is_known: `r.state in ('held', 'free', 'cooling')`,
  claim_held_is_not_settled: `(r.state = 'held') = (r.settled_at is null)`,
  claim_cooling_says_until_when: `(r.state = 'cooling') = (r.cooldown_until is not null)`,
  claim_cooldown_ends_after_settlement: `r.cooldown_until >= r.settled_at`,
})

/**
 * The claims of a work key under other identities (a run id's). Most claims are of the work key itself and cost this
 * index nothing.
 */
export const claimByOtherWorkIndex: SqlFile = (s) => `
create index claim_by_work on ${s}.job_claim (work_key) where identity <> work_key`

/** One admission as the client sends it: the run's request, and what this process knows of its own claims. */
export const claimRequestType: SqlFile = (s) => `
create type ${s}.claim_request as (
  run ${s}.run_request,
  records_run boolean,
  live_fences bigint[],
  orphan_fence bigint
)`
