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
 * What every function that writes asks of its transaction, a host's own included.
 * No commit is asynchronous, whatever the role or the database defaults to: what was answered must survive a crash of
 * the server. (Never a weaker level than the host's: `local` waits for the disk, and anything but `off` is left.)
 * And where the commit is a statement of its own (a host's Kysely instance, a strict default isolation), a client that
 * vanishes before it must not keep rows locked until TCP gives up, which takes two hours: a little longer than a client
 * waits for its commit, and the server ends the transaction.
 */
export const writeRules = `
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', true);
  end if;
  -- as a condition it is no statement of its own
  if set_config('idle_in_transaction_session_timeout', '10s', true) is null then null; end if;`

/**
 * What a function that decides and writes asks of its transaction. READ COMMITTED, because each statement inside it must
 * see what was committed before it, above all before the lock it just took: under a stricter level it would decide from
 * the past. And a commit that lasts.
 */
export const transactionRules = `
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'this statement needs READ COMMITTED, not %', current_setting('transaction_isolation')
      using errcode = 'OL001';
  end if;${writeRules}`
