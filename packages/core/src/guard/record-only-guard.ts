import { type BatcherOptions, createBatcher } from '../batcher.ts'
import { isConnectionError } from '../database/database-error.ts'
import type { Call, Executor } from '../database/executor.ts'
import { retrying } from '../database/retry.ts'
import { ScopeMismatchError } from '../errors.ts'
import type { Ledger } from '../ledger.ts'
import type { JobIdentity } from '../run/identity.ts'
import { type PastAttemptRow, pastAttemptsFrom, type RunRow, runFromRow } from '../run/run.ts'
import type { Settlement } from '../run/settlement.ts'
import type { SettlementAnswer } from '../run/verdict.ts'
import type { Runtime } from '../runtime.ts'
import type {
  AdmissionRequest,
  AdoptionReply,
  Claim,
  Guard,
  RunClaim,
  SettlementReply,
  StaleLimits,
  SweepPlace,
  SweptBatch,
} from './guard.ts'

/** Admission without exclusion: every delivery executes, recorded and fenced. A later attempt supersedes a running one. */
export function createRecordOnlyGuard(runtime: Runtime, ledger: Ledger): Guard {
  const { executor, term } = runtime

  const admissions = createBatcher<AdmissionRequest, AdmittedAnswer | { verdict: 'not_this_scope' }>(
    async (requests) => {
      const workerId = await term.id()
      const answers = (await retrying(
        () => executor.call('start_runs', [JSON.stringify(requests.map(toRunRequest)), workerId]),
        runtime.admissionTimeoutMs,
        runtime.isClosed,
      )) as (AdmittedAnswer | { verdict: 'not_this_scope'; n: number })[]
      return inOrder(answers, (answer) => ({ ...answer, workerId }))
    },
    batching(runtime),
  )

  const settle = createSettler(runtime, async (settlements) =>
    executor.call('settle_run_batch', [JSON.stringify(settlements)]),
  )

  return {
    ledger,
    excludes: false,
    cooldownMs: 0,
    async admit(request) {
      const answer = await admissions.add(request)
      if (answer.verdict === 'not_this_scope') throw new ScopeMismatchError(request.job.runId!)
      return { admitted: true, claim: claimFrom(answer) }
    },
    settle,
    async lock(call, claim) {
      return (await call('lock_run', [claim.runId, claim.fence])) as string | null
    },
    settleIn: (call, claim, settlement, cooldownMs) =>
      settleOnce(call, 'settle_run_batch', { claim, settlement, cooldownMs }),
    finish() {},
    abandon() {},
    adopt: (claims, workerId) => callAdopt(executor, 'adopt_runs', claims, workerId),
    async coolingRun() {
      return null
    },
    async pruneClaims() {
      return 0
    },
    sweep: (limits) => callSweep(executor, 'sweep_runs', limits),
  }
}

/**
 * How admissions and settlements go out: what fails with the connection fails for all of them. Two sends at once on the
 * library's own connections keep both sides busy; a host's pool is not the library's to fill.
 */
export function batching({ executor }: Runtime): BatcherOptions {
  return { maxInFlight: executor.isOwn ? 2 : 1, isolates: (error) => !isConnectionError(error) }
}

/** One batch of a sweep, by the function that a guard has for it in the schema. */
export async function callSweep(executor: Executor, name: string, stale: StaleLimits): Promise<SweptBatch> {
  const { workspaceId, limits, defaultLimitMs, batch, after } = stale
  const place = after === null ? null : JSON.stringify(after)
  const args = [workspaceId, JSON.stringify(limits), defaultLimitMs, batch, place]
  const { runs, next } = (await executor.call(name, args)) as { runs: RunRow[]; next: SweepPlace | null }
  return { runs: runs.map(runFromRow), next }
}

/** What an admitted delivery is told, as the schema's `admitted` function writes it. */
export interface AdmittedAnswer {
  verdict: 'admitted'
  n: number
  identity: string
  workKey: string
  lockKey: string | null
  fence: number
  runId: string
  attempt: number
  createdAt: string
  startedAt: string
  context: unknown
  attemptHistory: PastAttemptRow[] | null
  workerId: string
}

/** The claim of an admitted delivery: text becomes instants, and what the answer leaves out becomes null. */
export function claimFrom(answer: AdmittedAnswer): RunClaim {
  return {
    identity: answer.identity,
    workKey: answer.workKey,
    fence: answer.fence,
    runId: answer.runId,
    attempt: answer.attempt,
    createdAt: new Date(answer.createdAt),
    startedAt: new Date(answer.startedAt),
    context: answer.context ?? null,
    pastAttempts: pastAttemptsFrom(answer.attemptHistory),
    workerId: answer.workerId,
  }
}

/** What a run begins with, as the schema's `run_request` type takes it. */
export interface RunParts {
  readonly workspace_id: string
  readonly tenant_id: string | null
  readonly type: string
  readonly run_id: string | null
  readonly new_run_id: string
  readonly identity: string
  readonly work_key: string
  readonly is_system: boolean
  readonly context: unknown
}

/** One delivery of a batch of admissions, as the schema's `run_request` type takes it. */
export interface RunRequest extends RunParts {
  /** Its place in the batch: answers come in another order. */
  readonly n: number
  readonly delivery_id: string
  readonly delivery_attempt: number
  readonly delivery_maximum: number
}

/** `n`: the place in the batch, as `Array.map` gives it. */
export function toRunRequest({ job, newRunId, delivery, context }: AdmissionRequest, n: number): RunRequest {
  return { ...toRunParts(job, newRunId, context), n, ...toDeliveryParts(delivery) }
}

export function toRunParts(job: JobIdentity, newRunId: string, context: unknown): RunParts {
  return {
    workspace_id: job.scope.workspaceId,
    tenant_id: job.scope.tenantId,
    type: job.type,
    run_id: job.runId,
    new_run_id: newRunId,
    identity: job.identity,
    work_key: job.workKey,
    is_system: job.isSystem,
    context,
  }
}

function toDeliveryParts(delivery: AdmissionRequest['delivery']) {
  return {
    delivery_id: delivery.id,
    delivery_attempt: delivery.attempt,
    delivery_maximum: delivery.maxAttempts,
  }
}

/** A claim that moves to a new term, as the schema's `adopt` functions take it. */
interface Adoption {
  readonly identity: string
  readonly run_id: string | null
  readonly fence: number
}

/** Moves claims to a new term, by the function that a guard has for it in the schema. The fence alone decides. */
export async function callAdopt(
  executor: Executor,
  name: string,
  claims: readonly Claim[],
  workerId: string,
): Promise<AdoptionReply> {
  const adoptions = claims.map(({ identity, runId, fence }): Adoption => ({ identity, run_id: runId, fence }))
  const { kept, busy } = (await executor.call(name, [JSON.stringify(adoptions), workerId])) as {
    kept: number[]
    busy: number[]
  }
  return { kept: new Set(kept), busy: new Set(busy) }
}

/** Answers come in the order of the locks; this puts them back into the order of the batch. */
export function inOrder<A extends { n: number }, B>(answers: readonly A[], map: (answer: A) => B): B[] {
  const ordered = new Array<B>(answers.length)
  for (const answer of answers) ordered[answer.n] = map(answer)
  return ordered
}

/**
 * Settlements that arrive together share a statement. One that cannot be confirmed within the bound is answered with
 * `unconfirmed` and handed to `onUnconfirmed`; an unreachable database is never thrown into the host's handler path.
 */
export function createSettler(
  runtime: Runtime,
  send: (settlements: readonly RunSettlement[]) => Promise<unknown>,
  onUnconfirmed?: (claim: Claim, settlement: Settlement, cooldownMs: number) => void,
): Guard['settle'] {
  type Entry = { claim: Claim; settlement: Settlement; cooldownMs: number }
  const batcher = createBatcher<Entry, SettlementReply>(async (entries) => {
    const payload = entries.map(toSettlement)
    const answers = (await retrying(() => send(payload), runtime.settlementTimeoutMs)) as SettlementRow[]
    return inOrder(answers, replyFrom)
  }, batching(runtime))
  return async (claim, settlement, cooldownMs) => {
    try {
      return await batcher.add({ claim, settlement, cooldownMs })
    } catch {
      onUnconfirmed?.(claim, settlement, cooldownMs)
      return { answer: 'unconfirmed', completedAt: null }
    }
  }
}

/** One settlement as a part of somebody else's transaction: sent once, by the function that a guard has for it. */
export async function settleOnce(
  call: Call,
  name: string,
  entry: { claim: Claim; settlement: Settlement; cooldownMs: number },
): Promise<SettlementReply> {
  const answers = (await call(name, [JSON.stringify([toSettlement(entry, 0)])])) as SettlementRow[]
  return replyFrom(answers[0]!)
}

interface SettlementRow {
  n: number
  answer: SettlementAnswer
  completedAt: string | null
  ending?: SettlementReply['ending']
}

function replyFrom({ answer, completedAt, ending = null }: SettlementRow): SettlementReply {
  return { answer, completedAt: completedAt === null ? null : new Date(completedAt), ending }
}

/** One settlement of a batch, as the schema's `run_settlement` type takes it. */
export interface RunSettlement {
  readonly n: number
  readonly run_id: string | null
  readonly identity: string
  readonly fence: number
  readonly status: Settlement['status']
  readonly outcome: Settlement['outcome']
  readonly total: number
  readonly processed: number
  readonly failed: number
  readonly item_failures: Settlement['itemFailures'] | null
  readonly reason_code: string | null
  readonly message: string | null
  readonly cooldown_ms: number
}

/** Without a cooldown (0 ms) where the settlement starts none. `n`: the place in the batch. */
export function toSettlement(
  { claim, settlement, cooldownMs }: { claim: Claim; settlement: Settlement; cooldownMs: number },
  n: number,
): RunSettlement {
  return {
    n,
    run_id: claim.runId,
    identity: claim.identity,
    fence: claim.fence,
    status: settlement.status,
    outcome: settlement.outcome,
    total: settlement.counts.total,
    processed: settlement.counts.processed,
    failed: settlement.counts.failed,
    item_failures: Object.keys(settlement.itemFailures).length === 0 ? null : settlement.itemFailures,
    reason_code: settlement.reasonCode,
    message: settlement.message,
    cooldown_ms: settlement.startsCooldown ? cooldownMs : 0,
  }
}
