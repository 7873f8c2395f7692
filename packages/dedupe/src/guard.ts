import { InvalidOptionError, type JobIdentity, type Ledger, type Run } from '@opsledger/core'
import {
  assertDuration,
  assertKnownOptions,
  type Claim,
  callAdopt,
  callSweep,
  createSettler,
  type Guard,
  type RunRow,
  type RunSettlement,
  retrying,
  runFromRow,
  runtimeOf,
  type Settlement,
  settleOnce,
  walkTable,
  within,
} from '@opsledger/core/guard'
import { createAdmission } from './admission.ts'
import { type Explanation, type ExplanationRow, explanationFrom } from './explain.ts'
import { localRegistryOf } from './local-registry.ts'
import { createLockSession, type LockSession } from './lock-session.ts'
import { migrations } from './migrations/index.ts'
import { createOrphanKeeper } from './orphan-keeper.ts'
import { type Protected, type ProtectOptions, protect } from './protect.ts'
import { wayToSettle } from './way-to-settle.ts'

/** Long enough to swallow double dispatches, schedulers that overlap and impatient clicks; shorter than an hourly job. */
export const DEFAULT_COOLDOWN_MS = 15 * 60 * 1000

/** A settlement that a healthy database takes is done well within this. */
const CLOSE_TRY_MS = 1_000

/**
 * `session`: an advisory lock and a lease, each holding where the other fails; one connection more per process.
 * `lease`: the lease alone, for transaction poolers, a host's own Kysely and single-connection databases; a process
 * that is frozen past its lease may overlap in time, and all its later writes are refused.
 */
export type ExclusionMode = 'session' | 'lease'

/** For all operations that share the guard. */
export interface GuardOptions {
  /** Guards of both modes exclude each other. @default 'session' on the library's own connections, 'lease' on a host's Kysely instance */
  readonly exclusion?: ExclusionMode
  /**
   * How long an identity is refused after a terminal completion, in ms; 0 for never. Operations may say otherwise. Long
   * enough to swallow double dispatches and impatient clicks, shorter than an hourly job.
   * @default 15 minutes
   */
  readonly cooldownMs?: number
}

/** The guard that keeps executions apart, with its claims in the schema of its ledger. */
export interface DedupeGuard extends Guard {
  readonly exclusion: ExclusionMode
  /**
   * The guard alone, without a run in the ledger: exclusion, cooldown and fence around a handler, and nothing on
   * record. The ledger's own operations take a guard as an option and are what most hosts want.
   */
  protect<P, R>(options: ProtectOptions<P, R>): Protected<P, R>
  /**
   * Who holds this work, since when, until when, and why. Only ever of the scope it is asked for: `job` is what
   * `identify` or `jobIdentity` returned, or a run.
   */
  explain(job: JobIdentity | Run): Promise<Explanation>
  /**
   * Ends the cooldown of this work, or of this run's, now; answers with how many there were. Never touches a running
   * execution.
   */
  release(job: JobIdentity | Run): Promise<number>
}

/**
 * The guard of this process's operations on a ledger; operations of another ledger refuse it. Make one per ledger and
 * share it. Nothing is connected before the first use, or `ledger.ready()`.
 * @throws InvalidOptionError
 */
export function createGuard(ledger: Ledger, options: GuardOptions = {}): DedupeGuard {
  assertKnownOptions('createGuard', options, ['exclusion', 'cooldownMs'])
  const runtime = runtimeOf(ledger)
  const { executor } = runtime
  const exclusion = options.exclusion ?? (executor.isOwn ? 'session' : 'lease')
  if (exclusion !== 'session' && exclusion !== 'lease') {
    throw new InvalidOptionError('exclusion', exclusion, "'session' or 'lease'")
  }
  if (exclusion === 'session' && executor.settings === null) {
    throw new InvalidOptionError(
      'exclusion',
      exclusion,
      "'lease' with a Kysely instance; give the ledger a `connection` or a `pool` for 'session'",
    )
  }
  const cooldownMs = assertDuration('cooldownMs', options.cooldownMs ?? DEFAULT_COOLDOWN_MS)
  runtime.requireMigrations(migrations)

  const registry = localRegistryOf(runtime)
  let session: LockSession | null = null
  if (exclusion === 'session') {
    session = createLockSession({
      schema: runtime.schema,
      settings: executor.settings!,
      callTimeoutMs: Math.max(1_000, Math.round(runtime.leaseMs / 2)),
      onRestored: async () => {
        await retrying(() => runtime.term.reconfirm(), runtime.leaseMs, runtime.isClosed)
        await orphans.settle()
      },
    })
    runtime.onReady(session.ready)
  }
  const send = (settlements: readonly RunSettlement[]) => {
    const { name, args } = wayToSettle(settlements)
    return executor.call(name, args)
  }
  const orphans = createOrphanKeeper(runtime, registry)
  // A statement's settlements are of one kind.
  const settleRun = createSettler(runtime, send, orphans.keep)
  const settleUnrecorded = createSettler(runtime, send, orphans.keep)
  const admit = createAdmission(runtime, registry, session, orphans)

  const identityArgs = (job: JobIdentity | Run) => {
    if (typeof job?.identity !== 'string' || typeof job.workKey !== 'string') {
      throw new InvalidOptionError(
        'job',
        job,
        "what an operation's `identify`, or `jobIdentity`, returned; or a run",
      )
    }
    return [job.identity, job.workKey]
  }

  runtime.onClose(async () => {
    // A last try for what could not be settled; what it cannot do is left to the next worker.
    await within(
      CLOSE_TRY_MS,
      orphans.settle().catch(() => {}),
    )
    orphans.close()
    await session?.close()
  })

  const guard: DedupeGuard = {
    ledger,
    excludes: true,
    exclusion,
    cooldownMs,
    admit: (request) => admit({ ...request, recordsRun: true }),
    async settle(claim: Claim, settlement: Settlement, claimCooldownMs: number) {
      const entry = registry.byFence(claim.fence)
      if (entry !== null) registry.settling(entry)
      try {
        const settleNow = claim.runId === null ? settleUnrecorded : settleRun
        return await settleNow(claim, settlement, claimCooldownMs)
      } finally {
        if (entry !== null) registry.leave(entry)
        session?.unlock(claim.fence)
      }
    },
    async lock(call, claim) {
      return (await call('lock_claim', [claim.identity, claim.fence, claim.runId])) as string | null
    },
    settleIn: (call, claim, settlement, claimCooldownMs) =>
      settleOnce(call, 'settle', { claim, settlement, cooldownMs: claimCooldownMs }),
    finish(claim) {
      const entry = registry.byFence(claim.fence)
      if (entry !== null) registry.leave(entry)
      session?.unlock(claim.fence)
    },
    abandon(claim) {
      const entry = registry.byFence(claim.fence)
      if (entry !== null) registry.leave(entry)
      session?.unlock(claim.fence)
      orphans.abandon(claim)
    },
    adopt: (claims, workerId) => callAdopt(executor, 'adopt', claims, workerId),
    async coolingRun(job) {
      const found = (await executor.call('cooling_run', identityArgs(job))) as {
        run: RunRow
        retryAfterMs: number
      } | null
      return found === null ? null : { run: runFromRow(found.run), retryAfterMs: found.retryAfterMs }
    },
    sweep: (limits) => callSweep(executor, 'sweep', limits),
    pruneClaims: (olderThanMs, signal) =>
      walkTable(executor, runtime.schema, 'job_claim', signal, async (from, to) =>
        Number(await executor.call('prune_claims', [from, to, olderThanMs])),
      ),
    async explain(job) {
      const args = identityArgs(job)
      await runtime.ready()
      return explanationFrom((await executor.call('explain', args)) as ExplanationRow[])
    },
    async release(job) {
      const args = identityArgs(job)
      await runtime.ready()
      return (await executor.call('release', args)) as number
    },
    protect: (protectOptions) =>
      protect(runtime, guard, (request) => admit({ ...request, recordsRun: false }), protectOptions),
  }
  return guard
}
