import { ClaimLostError, LedgerClosedError } from '../errors.ts'
import { describeFailure, type Failure } from '../failure/describe-failure.ts'
import type { Claim, SettlementReply } from '../guard/guard.ts'
import { type Delivery, isLastAttempt } from '../run/delivery.ts'
import { type Settlement, settlementOfFailure, settlementOfReturn } from '../run/settlement.ts'
import type { Runtime } from '../runtime.ts'
import type { Execution } from '../worker/executions.ts'

/** How an attempt ended: what the handler returned or threw, and what became of its settlement. */
export interface AttemptEnding<R> {
  readonly ending: { readonly value: R } | { readonly error: unknown }
  readonly settlement: Settlement
  readonly reply: SettlementReply
  /** This library stopped it, or its handler never began: it goes back to the queue, whatever its number. */
  readonly isHandedBack: boolean
  readonly durationMs: number
}

/** Whether it may begin without a question: nearly always. */
export function standsAlready({ term, isClosed }: Runtime, execution: Execution): boolean {
  return term.covers(execution) && !execution.isLost && !isClosed()
}

/** False when the claim was taken before it began: nothing was executed, and it asks again like any newcomer. */
export async function isSecured(runtime: Runtime, execution: Execution): Promise<boolean> {
  let isReady = false
  try {
    await runtime.term.secure(execution, runtime.admissionTimeoutMs)
    // Admitted while the ledger was closing: its term is retired, and nobody would ever abort it.
    if (runtime.isClosed()) throw new LedgerClosedError()
    isReady = !execution.isLost
    return isReady
  } finally {
    if (!isReady) execution.guard.abandon(execution.claim)
  }
}

/** Runs a handler under its claim and settles the attempt. Never throws: what the handler threw is in the ending. */
export async function runAttempt<R>(
  runtime: Runtime,
  execution: Execution,
  delivery: Delivery,
  cooldownMs: number,
  handler: () => R | Promise<R>,
): Promise<AttemptEnding<Awaited<R>>> {
  const { claim, guard, book, signal, abort } = execution
  let stopForwarding = () => {}
  const beganAt = performance.now()
  let ending: AttemptEnding<Awaited<R>>['ending']
  let settlement: Settlement
  let handedBack: Failure | null = null
  let hasBegun = false
  try {
    stopForwarding = forwardAbort(delivery.signal, abort)
    // Aborted while it was being admitted: what is to stop does not begin.
    signal.throwIfAborted()
    hasBegun = true
    ending = { value: await handler() }
    settlement = settlementOfReturn(book)
  } catch (error) {
    ending = { error }
    handedBack = handBack(signal, error, claim) ?? (hasBegun ? null : NOT_BEGUN)
    const failure = handedBack ?? describeFailure(error, runtime.redactor)
    const isTerminal = handedBack === null && (failure.permanent || isLastAttempt(delivery))
    settlement = settlementOfFailure(book, failure, isTerminal)
  }
  execution.end()
  stopForwarding()
  // Begun and not awaited: whether one of them settled the attempt is known when they are over.
  await Promise.all(execution.commits)
  let reply: SettlementReply
  if (execution.committed === null && execution.unconfirmed === null) {
    reply = await guard.settle(claim, settlement, cooldownMs)
  } else if (execution.committed === null) {
    // Whether it has settled itself is asked with a settlement that decides nothing, so that an end is its own.
    const { settlement: hoped, error } = execution.unconfirmed!
    settlement = settlementOfFailure(book, UNCONFIRMED, false)
    reply = await guard.settle(claim, settlement, cooldownMs)
    const { outcome, reasonCode } = reply.ending ?? {}
    const hasTakenPlace =
      reply.answer === 'already_settled' && outcome === hoped.outcome && reasonCode === hoped.reasonCode
    if (hasTakenPlace) {
      settlement = hoped
      handedBack = null
    } else {
      // Also where the handler went on as if nothing had happened: its writes may be gone.
      if (!('error' in ending)) ending = { error }
      handedBack = UNCONFIRMED
    }
  } else {
    // How it ended was written with the host's own writes: what the handler did afterwards changes nothing of it.
    ;({ settlement, reply } = execution.committed)
    handedBack = null
    guard.finish(claim)
  }
  const durationMs = performance.now() - beganAt
  return { ending, settlement, reply, isHandedBack: handedBack !== null, durationMs }
}

const NOT_BEGUN: Failure = {
  reasonCode: 'abort.signal',
  message: 'The delivery was aborted before its handler began, and handed back.',
  permanent: false,
}

const UNCONFIRMED: Failure = {
  reasonCode: 'database.connection_failed',
  message: 'The commit of its settling transaction could not be confirmed, and the job was handed back.',
  permanent: false,
}

/** An attempt that this library stopped is not the host's failure: it goes back to the queue, whatever its number. */
function handBack(signal: AbortSignal, error: unknown, { fence }: Claim): Failure | null {
  // Its own transaction may learn of the lost claim before the signal does.
  const isOwnLoss = error instanceof ClaimLostError && error.fence === fence
  if (!signal.aborted && !isOwnLoss) return null
  const reason = signal.aborted ? signal.reason : error
  if (reason instanceof LedgerClosedError) {
    const message = 'The worker shut down and handed the job back.'
    return { reasonCode: 'worker.shutdown', message, permanent: false }
  }
  if (reason instanceof ClaimLostError) {
    return { reasonCode: 'claim.lost', message: reason.message, permanent: false }
  }
  return null
}

function forwardAbort(from: AbortSignal | undefined, abort: (reason: unknown) => void): () => void {
  if (from === undefined) return () => {}
  const forward = () => abort(from.reason)
  if (from.aborted) forward()
  from.addEventListener('abort', forward, { once: true })
  return () => from.removeEventListener('abort', forward)
}
