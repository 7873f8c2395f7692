import type { ExclusionMode } from '@opsledger/dedupe'

/** The library with one rule broken, in the process that loads it so. */
export interface Mutant {
  readonly name: string
  /** What it breaks, as the end of "a library that …". */
  readonly does: string
  /** The guarantee whose violation must be seen. */
  readonly breaks: readonly string[]
  /** The fault under which it shows. */
  readonly fault: string
  readonly edits: readonly Edit[]
  /**
   * Takes away what covers for the broken rule. By itself it must break nothing, and `--mutants` looks whether that is
   * so: what is caught is then the rule.
   */
  readonly uncovering?: readonly Edit[]
  /** The one mode of all workers: in the other one the library cannot do without what is taken away. */
  readonly exclusion?: ExclusionMode
}

/** In a file below `packages/`; `find` must be there exactly once. */
interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

const CONTROL = '/control'

/** The name under which the library runs that has lost only what covers for the rule of this mutant. */
export const controlOf = ({ name }: Mutant): string => `${name}${CONTROL}`

/** The edits of a mutant, or of its control, by name. */
export function editsOf(name: string): readonly Edit[] {
  const mutant = mutants.find((one) => name === one.name || name === controlOf(one))
  if (mutant === undefined) {
    throw new Error(`There is no mutant ${name}; there are ${mutants.map((one) => one.name).join(', ')}`)
  }
  const { edits, uncovering = [] } = mutant
  return name === mutant.name ? [...edits, ...uncovering] : uncovering
}

export const mutants: readonly Mutant[] = [
  {
    name: 'lock-only',
    does: 'lets the advisory lock alone decide, and takes what a living lease holds',
    breaks: ['G1'],
    fault: 'lock-session-terminated',
    edits: [
      {
        file: 'dedupe/src/sql/admit.ts',
        find: 'else (seen.lease).retired_at is not null or (seen.lease).expires_at <= v_at end, false)) then',
        replace: 'else true end, false)) then',
      },
      {
        file: 'dedupe/src/sql/admit.ts',
        find: "elsif (seen.claim).state = 'held' and not v_mine and (seen.lease).retired_at is null then",
        replace: 'elsif false then',
      },
      {
        file: 'dedupe/src/sql/admit.ts',
        find: 'where l.id = c.worker_id and l.retired_at is not null))',
        replace: 'where l.id = c.worker_id))',
      },
    ],
  },
  {
    name: 'same-delivery-discarded',
    does: 'discards a delivery that comes again while it is executing, instead of asking for it later',
    breaks: ['G5', 'other'],
    fault: 'lock-session-terminated',
    edits: [
      {
        file: 'dedupe/src/sql/admit.ts',
        find: "or (p_verdict in ('overlap', 'not_canonical') and coalesce(v_claim.state = 'held', false)",
        replace: 'or (false',
      },
      {
        file: 'dedupe/src/admission.ts',
        find: "action: deliveryId === delivery.id || isRetry ? 'retry_later' : 'discard',",
        replace: "action: 'discard',",
      },
    ],
  },
  {
    name: 'orphan-blocks',
    does: 'does not take over the claim whose admission lost its reply',
    breaks: ['other'],
    fault: 'commit-cut',
    edits: [
      {
        file: 'dedupe/src/sql/admit.ts',
        find: "when v_mine and (seen.claim).fence <> all (coalesce(seen.live_fences, '{}'))",
        replace: 'when false',
      },
    ],
  },
  {
    name: 'settlement-sent-twice',
    does: 'calls a settlement superseded when it comes again after a lost connection',
    breaks: ['G4'],
    fault: 'commit-cut',
    edits: [
      {
        file: 'dedupe/src/sql/settle.ts',
        find: "then 'already_settled' else 'superseded' end",
        replace: "then 'superseded' else 'superseded' end",
      },
    ],
  },
  {
    name: 'no-abort',
    does: 'lets its handlers go on when the lease is about to be lost',
    breaks: ['G1'],
    fault: 'network-blackhole',
    edits: [
      {
        file: 'core/src/worker/term.ts',
        find: "abort(execution, 'the database could not be reached before the lease ran out.')",
        replace: 'void execution',
      },
    ],
  },
  {
    name: 'no-pooler-check',
    does: 'locks in sessions that a transaction pooler hands to others',
    breaks: ['other'],
    fault: 'transaction-pooler',
    edits: [
      {
        file: 'dedupe/src/lock-session.ts',
        find: 'if (!wasConnected && (await isTransactionPooled(opened, connectSecond))) {',
        replace: 'if (await Promise.resolve(false)) {',
      },
    ],
  },
  {
    name: 'lease-only',
    does: 'takes no lock for what it executes',
    breaks: ['G1'],
    fault: 'frozen-worker',
    edits: [
      {
        file: 'dedupe/src/admission.ts',
        find: 'call(name, [...args, workerId, session !== null], letsGo)',
        replace: 'call(name, [...args, workerId, false], letsGo)',
      },
    ],
  },
  {
    name: 'no-fence-check',
    does: 'settles whatever attempt the claim is at',
    breaks: ['G4'],
    fault: 'frozen-worker',
    edits: [
      {
        file: 'dedupe/src/sql/settle.ts',
        find: "c.identity = i.identity and c.fence = i.fence and c.state = 'held'\n    for update of c",
        replace: "c.identity = i.identity and c.state = 'held'\n    for update of c",
      },
      {
        file: 'dedupe/src/sql/settle.ts',
        find: "where identity = p_identity and fence = p_fence and state = 'held' for update",
        replace: "where identity = p_identity and state = 'held' for update",
      },
      {
        file: 'dedupe/src/sql/settle.ts',
        find: "where r.id = p_run and r.fence = p_fence and r.status = 'running'",
        replace: "where r.id = p_run and r.status = 'running'",
      },
      {
        file: 'core/src/sql/settle-runs.ts',
        find: "where r.id = i.run_id and r.fence = i.fence and r.status = 'running'\n    returning",
        replace: "where r.id = i.run_id and r.status = 'running'\n    returning",
      },
    ],
  },
  {
    name: 'no-abort-of-what-was-taken',
    does: 'lets its handlers go on when it learns that another worker has taken their work',
    breaks: ['G1'],
    fault: 'frozen-worker',
    edits: [
      {
        file: 'core/src/worker/term.ts',
        find: 'execution.isLost = true\n    abort(execution, why)',
        replace: 'execution.isLost = true\n    void why',
      },
    ],
  },
  {
    name: 'unconditional-retirement',
    does: 'retires a lease that it saw run out a moment ago, without looking again',
    breaks: ['G1', 'other'],
    fault: 'frozen-worker',
    edits: [
      {
        file: 'core/src/sql/worker-lease.ts',
        find: 'worker_lease where id = p_id for update skip locked;',
        replace: 'worker_lease where id = p_id;',
      },
      {
        file: 'core/src/sql/worker-lease.ts',
        find: 'if v_retired_at is not null then return true; end if;',
        replace: 'if v_retired_at is not null then return true; end if;\n  perform pg_sleep(0.2);',
      },
      {
        file: 'core/src/sql/worker-lease.ts',
        find: 'where id = p_id and retired_at is null and expires_at <= clock_timestamp();',
        replace: 'where id = p_id;',
      },
    ],
  },
  {
    name: 'app-clock',
    does: "ends its cooldowns by the worker's clock",
    breaks: ['G2', 'other'],
    fault: 'clock-skew',
    edits: [
      {
        file: 'core/src/guard/record-only-guard.ts',
        find: 'cooldown_ms: settlement.startsCooldown ? cooldownMs : 0,',
        replace: 'cooldown_ms: settlement.startsCooldown && cooldownMs > 0 ? Date.now() + cooldownMs : 0,',
      },
      {
        file: 'core/src/sql/settle-runs.ts',
        find: '  cooldown_ms integer\n',
        replace: '  cooldown_ms bigint\n',
      },
      {
        file: 'dedupe/src/sql/settle.ts',
        find: "then i.at + i.cooldown_ms * interval '1 millisecond' end",
        replace: 'then to_timestamp(i.cooldown_ms / 1000.0) end',
      },
      {
        file: 'dedupe/src/sql/settle.ts',
        find: '  p_cooldown_ms integer\n',
        replace: '  p_cooldown_ms bigint\n',
      },
      {
        file: 'dedupe/src/sql/settle.ts',
        find: "then v_at + p_cooldown_ms * interval '1 millisecond' end",
        replace: 'then to_timestamp(p_cooldown_ms / 1000.0) end',
      },
      {
        file: 'dedupe/src/sql/job-claim.ts',
        find: 'r.cooldown_until >= r.settled_at',
        replace: 'true',
      },
    ],
  },
  {
    name: 'no-error-listener',
    does: 'does not listen to the errors of its idle connections',
    breaks: ['G6'],
    fault: 'server-reaping',
    edits: [
      {
        file: 'core/src/database/own-pool.ts',
        find: "  pool.on('error', () => {})\n",
        replace: '',
      },
    ],
  },
  {
    name: 'borrowed-isolation',
    does: "runs its statements at the role's own isolation level, and lets the host see what comes of it",
    breaks: ['G5', 'G6', 'other'],
    fault: 'strict-isolation',
    edits: [
      {
        file: 'core/src/database/own-executor.ts',
        find: 'opensTransactions = !facts.defaultsToReadCommitted',
        replace: 'opensTransactions = false',
      },
      {
        file: 'core/src/database/retry.ts',
        find: 'const MAX_CONFLICTS = 8',
        replace: 'const MAX_CONFLICTS = 1',
      },
      {
        file: 'core/src/database/kysely-executor.ts',
        find: ".setIsolationLevel('read committed')",
        replace: '',
      },
      {
        file: 'dedupe/src/lock-session.ts',
        find: "  set default_transaction_isolation to 'read committed';\n",
        replace: '',
      },
      {
        file: 'core/src/sql/plan-settings.ts',
        find: "current_setting('transaction_isolation') <> 'read committed'",
        replace: 'false',
      },
    ],
  },
  {
    name: 'transaction-without-fence',
    does: "commits the host's writes without a look at the claim's fence",
    breaks: ['G8'],
    fault: 'exactly-once-effects',
    edits: [
      {
        file: 'core/src/operation/run-transaction.ts',
        find: "if (lockedBy === null) throw lost('another attempt has it, or it was settled.')",
        replace: '',
      },
      {
        file: 'core/src/operation/run-transaction.ts',
        find: "if (reply.answer !== 'settled') throw lost('another attempt has it, or it was settled.')",
        replace: '',
      },
    ],
  },
  {
    name: 'fence-before-the-row',
    does: 'takes the fence before it has locked the row, where no advisory lock covers for that',
    breaks: ['other'],
    fault: 'slow-writes',
    edits: [
      {
        file: 'dedupe/src/sql/admit.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the library's
        find: "      fence = nextval('${s}.fence'),",
        replace: '      fence = excluded.fence,',
      },
      {
        file: 'dedupe/src/sql/admit-unopposed.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the library's
        find: "      fence = nextval('${s}.fence'),",
        replace: '      fence = excluded.fence,',
      },
    ],
    uncovering: [
      {
        file: 'dedupe/src/sql/admit.ts',
        find: 'when not case when p_session then pg_try_advisory_lock(k.target_key)',
        replace: 'when not case when p_session then true',
      },
      {
        file: 'dedupe/src/sql/admit.ts',
        find: 'else pg_try_advisory_xact_lock(k.target_key) end then 0',
        replace: 'else true end then 0',
      },
      {
        file: 'dedupe/src/sql/admit-unopposed.ts',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the library's
        find: 'case when p_session then pg_try_advisory_lock(${key}) else pg_try_advisory_xact_lock(${key}) end',
        replace: 'true',
      },
      {
        file: 'dedupe/src/sql/admit.ts',
        find: 'when k.target_key = k.work_key or pg_try_advisory_xact_lock(k.work_key) then 2',
        replace: 'when true then 2',
      },
    ],
  },
  {
    name: 'unlock-before-commit',
    does: 'lets the lock go before the settlement has committed, where no row covers for that',
    breaks: ['G2', 'other'],
    fault: 'slow-writes',
    edits: [
      {
        file: 'dedupe/src/guard.ts',
        find: 'if (entry !== null) registry.settling(entry)',
        replace: 'if (entry !== null) registry.settling(entry)\n      session?.unlock(claim.fence)',
      },
    ],
    // A session's lock alone decides: that is enough where nobody works without one.
    exclusion: 'session',
    uncovering: [
      {
        file: 'dedupe/src/sql/admit.ts',
        find: 'else (seen.lease).retired_at is not null or (seen.lease).expires_at <= v_at end, false)) then',
        replace: 'else p_session end, false)) then',
      },
      {
        file: 'dedupe/src/sql/admit.ts',
        find: "elsif (seen.claim).state = 'held' and not v_mine and (seen.lease).retired_at is null then",
        replace: 'elsif false then',
      },
      {
        file: 'dedupe/src/sql/admit.ts',
        find: 'where l.id = c.worker_id and l.retired_at is not null))',
        replace: 'where l.id = c.worker_id))',
      },
    ],
  },
  {
    name: 'retry-cools-down',
    does: 'starts the cooldown after every attempt, also one that is to be retried',
    breaks: ['G3'],
    fault: 'pool-exhaustion',
    edits: [
      {
        file: 'core/src/run/settlement.ts',
        find: 'startsCooldown: isCompleted && !isCancelled,',
        replace: 'startsCooldown: true,',
      },
    ],
  },
  {
    name: 'message-as-thrown',
    does: 'writes the message of a failure as it was thrown',
    breaks: ['G7'],
    fault: 'pool-exhaustion',
    edits: [
      {
        file: 'core/src/failure/describe-failure.ts',
        find: 'safely(() => redactor.redact(messageOf(chain, reasonCode)))',
        replace: 'messageOf(chain, reasonCode)',
      },
    ],
  },
  {
    name: 'known-secrets-only',
    does: 'redacts the secrets it was told, and knows none by their form or their name',
    breaks: ['G7'],
    fault: 'pool-exhaustion',
    edits: [
      {
        file: 'core/src/redaction/redactor.ts',
        find: '    findStructuralSecrets(view.text, mark)\n',
        replace: '',
      },
    ],
  },
  {
    name: 'told-secrets-forgotten',
    does: 'redacts what looks like a secret, and forgets those it was told',
    breaks: ['G7'],
    fault: 'pool-exhaustion',
    edits: [
      {
        file: 'core/src/redaction/redactor.ts',
        find: 'known.find(view.text, mark)',
        replace: 'known.find(view.text, () => {})',
      },
    ],
  },
]
