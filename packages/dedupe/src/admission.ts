import { ScopeMismatchError } from '@opsledger/core'
import {
  type Admission,
  batching,
  claimFrom,
  createBatcher,
  inOrder,
  isConnectionError,
  pause,
  type Refusal,
  type Runtime,
  retrying,
  runFromRow,
  runningRun,
  sqlState,
} from '@opsledger/core/guard'
import { LockTableFullError } from './errors.ts'
import type { AskedWork, ClaimRequest, LocalEntry, LocalRegistry } from './local-registry.ts'
import type { LockSession } from './lock-session.ts'
import type { OrphanKeeper } from './orphan-keeper.ts'
import {
  type Answer,
  type Ask,
  loneWay,
  longWay,
  type RefusedAnswer,
  shortWay,
  type Told,
  type Way,
} from './ways-to-admit.ts'

/** An unlock under way, or a contender passing by, is over within this; then it is somebody else's lock. */
const LOCK_BUSY_WITHIN_MS = 200
const LOCK_BUSY_PAUSE_MS = 10
/** When nothing says how long to wait: the next look costs little. */
const DEFAULT_RETRY_AFTER_MS = 1_000
/** A process takes over its own orphan at the second send; more rounds mean that somebody else is faster each time. */
const MAX_ROUNDS = 10

/**
 * The way to a claim: first what this process knows by itself, then one statement that many share. See
 * `sql/admit.ts` for what the database decides.
 */
export function createAdmission(
  runtime: Runtime,
  registry: LocalRegistry,
  session: LockSession | null,
  orphans: OrphanKeeper,
) {
  const call =
    session?.call ??
    (async (name: string, args: readonly unknown[], letsGo: boolean) => ({
      answer: await runtime.executor.call(name, letsGo ? [...args, '{}'] : args),
      era: 0,
    }))
  const send = async (way: Way, asks: readonly Ask[]): Promise<Answer[]> => {
    const { name, args, letsGo, answersFrom } = way(asks)
    const attempt = async (): Promise<Answer[]> => {
      const workerId = await runtime.term.id()
      let told: Told[] | 'term_retired'
      let era: number
      try {
        const reply = await call(name, [...args, workerId, session !== null], letsGo)
        told = answersFrom(reply.answer)
        era = reply.era
      } catch (error) {
        if (isConnectionError(error)) {
          // Whether it admitted, or still will, is unknown: nobody must wait for a claim that nobody executes.
          for (const { request } of asks) {
            const runId = request.job.runId ?? request.newRunId
            orphans.suspect({ ...askedWorkOf({ request }), runId })
          }
        } else if (session !== null) {
          // Session locks outlive the statement that failed.
          await session.reset()
        }
        throw sqlState(error) === '53200' ? new LockTableFullError({ cause: error }) : error
      }
      if (told === 'term_retired') {
        await runtime.term.verify(runtime.admissionTimeoutMs)
        return attempt()
      }
      return inOrder(told, (answer) => {
        if (answer.verdict !== 'admitted') return answer
        registry.announce(answer.fence)
        if (answer.lockKey !== null) session?.hold(answer.fence, answer.lockKey, era)
        return { ...answer, workerId }
      })
    }
    return registry.asking(
      asks.map(askedWorkOf),
      retrying(attempt, runtime.admissionTimeoutMs, runtime.isClosed),
    )
  }
  const batcherOf = (way: Way) => createBatcher((asks: readonly Ask[]) => send(way, asks), batching(runtime))
  // A statement's requests are of one kind.
  const first = batcherOf((asks) => (asks.length === 1 ? loneWay(asks) : shortWay(asks)))
  const recorded = batcherOf(longWay)
  const unrecorded = batcherOf(longWay)
  const batcherFor = ({ request, liveFences, orphanFence }: Ask) => {
    if (!request.recordsRun) return unrecorded
    const { runId, isSystem } = request.job
    const isPlain = runId === null && !isSystem && liveFences.length === 0 && orphanFence === null
    return isPlain ? first : recorded
  }

  /** Asks the database until it says yes or no. */
  const ask = async (entry: LocalEntry, liveFences: number[]): Promise<Admission> => {
    const { request } = entry
    let giveUpAt: number | null = null
    let orphanFence: number | null = null
    for (let round = 1; ; round++) {
      const asked: Ask = { request, liveFences, orphanFence }
      const answer: Answer = await batcherFor(asked).add(asked)
      if (answer.verdict === 'admitted') {
        const claim = claimFrom(answer)
        registry.admitted(entry, claim)
        return { admitted: true, claim }
      }
      if (answer.verdict === 'not_this_scope') throw new ScopeMismatchError(request.job.runId!)
      if (answer.verdict === 'own_orphan') {
        // Its answer may be on its way, on another connection, and asked for under another name of the same work.
        if (!registry.isAlive(answer.fence)) await registry.answered([askedWorkOf({ request })])
        if (registry.isAlive(answer.fence)) liveFences = [...liveFences, answer.fence]
        else orphanFence = answer.fence
        if (round < MAX_ROUNDS) continue
        return { admitted: false, refusal: lockBusy }
      }
      if (answer.verdict === 'lock_busy') {
        // From the first such answer: a slow database has used up nothing of the time a lock is given.
        giveUpAt ??= performance.now() + LOCK_BUSY_WITHIN_MS
        if (performance.now() < giveUpAt) {
          await pause(LOCK_BUSY_PAUSE_MS * (0.5 + Math.random()))
          continue
        }
      }
      return { admitted: false, refusal: refusalFrom(answer) }
    }
  }

  return async function admit(request: ClaimRequest): Promise<Admission> {
    const { job, delivery } = request
    for (;;) {
      const freed = registry.freed(job.identity, job.workKey)
      if (freed !== null) {
        await freed
        continue
      }
      const local = registry.find(job.identity, job.workKey)
      if (local === null || (local.state === 'executing' && isForTheDatabase(request, local))) {
        const entry = registry.enter(request, local !== null)
        try {
          const admission = await ask(entry, local === null ? [] : [local.claim!.fence])
          if (!admission.admitted) {
            entry.refusal = admission.refusal
            registry.leave(entry)
          }
          return admission
        } catch (error) {
          registry.leave(entry)
          throw error
        }
      }
      if (local.state === 'executing')
        return { admitted: false, refusal: localOverlap(request, local, runtime) }
      await registry.untilLeft(local)
      if (local.refusal !== null && isSharedBy(local.refusal, local.request, request, delivery.id)) {
        return { admitted: false, refusal: local.refusal }
      }
    }
  }
}

const askedWorkOf = ({ request: { job } }: Pick<Ask, 'request'>): AskedWork => ({
  identity: job.identity,
  workKey: job.workKey,
  isNamed: job.runId !== null,
})

/**
 * A skipped run is a row: a system job's overlap, and the own run of a delivery that another run stands for. A run id
 * of another type has the same identity: whose it is must be known before its holder is named.
 */
function isForTheDatabase({ job }: ClaimRequest, { claim, request }: LocalEntry): boolean {
  return job.isSystem || job.type !== request.job.type || (job.runId !== null && job.runId !== claim!.runId)
}

/** What was refused a moment ago is refused for the same reason now, where the reason is not the delivery itself. */
function isSharedBy(refusal: Refusal, first: ClaimRequest, next: ClaimRequest, deliveryId: string): boolean {
  if (first.job.identity !== next.job.identity || first.job.isSystem || first.job.runId !== next.job.runId) {
    return false
  }
  if (first.job.type !== next.job.type) return false
  if (refusal.reason === 'cooldown') return refusal.holder?.deliveryId !== deliveryId
  if (refusal.run?.pastAttempts.some((past) => past.deliveryId === deliveryId)) return false
  return (
    refusal.reason === 'overlap' && refusal.action === 'discard' && refusal.holder?.deliveryId !== deliveryId
  )
}

function localOverlap({ delivery }: ClaimRequest, { claim, request }: LocalEntry, runtime: Runtime): Refusal {
  const { runId, workerId, fence, startedAt } = claim!
  const run = 'attempt' in claim! ? runningRun(claim, request.job, request.delivery) : null
  const deliveryId = request.delivery.id
  // A retry is its queue's to bring again: the delivery that executes now may have been discarded for it.
  const isRetry = run?.pastAttempts.some((past) => past.deliveryId === delivery.id) ?? false
  return {
    executed: false,
    reason: 'overlap',
    action: deliveryId === delivery.id || isRetry ? 'retry_later' : 'discard',
    retryAfterMs: runtime.leaseMs,
    holder: {
      runId,
      attempt: run?.attempt ?? null,
      workerId,
      host: runtime.host,
      pid: process.pid,
      deliveryId,
      fence,
      since: startedAt,
    },
    run,
  }
}

const lockBusy: Refusal = {
  executed: false,
  reason: 'lock_busy',
  action: 'retry_later',
  retryAfterMs: DEFAULT_RETRY_AFTER_MS,
  holder: null,
  run: null,
}

function refusalFrom({ verdict, discard, retryAfterMs, holder, run }: RefusedAnswer): Refusal {
  return {
    executed: false,
    reason: verdict,
    action: discard ? 'discard' : 'retry_later',
    retryAfterMs: retryAfterMs > 0 || discard ? retryAfterMs : DEFAULT_RETRY_AFTER_MS,
    holder: holder === null ? null : { ...holder, since: new Date(holder.since) },
    run: run === null ? null : runFromRow(run),
  }
}
