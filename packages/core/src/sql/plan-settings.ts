/**
 * Plan settings every function of the hot path carries with it, so that a host tunes nothing and a pooler or a
 * Kysely-only host gets the same plans: generic plans (planning costs more than running), index access on tables
 * that were never analyzed, and no JIT (its threshold counts the price of switched-off scans). And a bound on waiting
 * for a row: an admission that its process has given up must not commit minutes later.
 */
export const planSettings = `
  set plan_cache_mode to force_generic_plan
  set enable_seqscan to off
  set enable_bitmapscan to off
  set enable_hashjoin to off
  set enable_mergejoin to off
  set jit to off
  set lock_timeout to '2s'`

/**
 * Why READ COMMITTED: each statement inside a function must see what was committed before it, above all what was
 * committed before the lock it just took. Under a stricter level it would decide from the past.
 */
export const requireReadCommitted = `
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'this statement needs READ COMMITTED, not %', current_setting('transaction_isolation')
      using errcode = 'OL001';
  end if;`
