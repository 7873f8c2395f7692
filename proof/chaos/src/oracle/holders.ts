import type { Holder } from '@opsledger/core'
import type { Nanos } from '@opsledger/testing'
import type { Case } from './case.ts'
import { type Answered, FOREVER, NANOS_PER_MS, type Section } from './sections.ts'

/** The commit of a process that was killed may come this much later: its statement runs on in the server, in ms. */
const LATE_COMMIT_MS = 10_000n

/**
 * Since when a refusal may have been known. A newcomer that comes while its process asks for the same work waits for
 * that answer and is refused with it: then since the first of them asked.
 */
export function askedFrom({ pid, work, askedAt, answer }: Answered, { answersByWork }: Case): Nanos {
  if (answer.kind !== 'skipped') return askedAt
  let from = askedAt
  for (const other of answersByWork.get(work) ?? []) {
    const isShared =
      other.pid === pid &&
      other.at >= askedAt &&
      other.askedAt < from &&
      other.answer.kind === 'skipped' &&
      other.answer.reason === answer.reason &&
      other.answer.holder?.fence === answer.holder?.fence
    if (isShared) from = other.askedAt
  }
  return from
}

/**
 * Why nobody can have held the work as this refusal says, at any moment from when it was asked for until it was told;
 * null when somebody can. A claim is held from when its delivery asked until its caller was told that it is settled;
 * where that is not known, until the next attempt began and its own process was gone.
 */
export function objectionToHolder(
  refused: Answered,
  { fence, deliveryId, pid }: Holder,
  one: Case,
): string | null {
  const { work, at: to } = refused
  const from = askedFrom(refused, one)
  const section = one.byFence.get(fence)
  const told = one.toldOf.get(fence)
  if (section === undefined && told === undefined && !isRemembered(fence, work, one)) {
    return 'that holder never was'
  }
  if (told !== undefined && told.askedAt > to) return 'the holder had not asked yet'
  const isOver = told?.answer.kind === 'executed' && told.answer.settlement !== 'unconfirmed'
  if (isOver) return told.at < from ? 'the holder had settled before' : null
  // Its own process refuses for it until its caller is told, whatever others have done meanwhile.
  if (refused.pid === pid && isUnderWay(deliveryId, refused, from, one)) return null
  const next = one.byWork.get(work)?.find((later) => later.fence > fence)
  const goneAt = section === undefined ? 0n : (section.endedAt ?? FOREVER)
  const until = next === undefined ? FOREVER : next.startedAt > goneAt ? next.startedAt : goneAt
  return until < from ? 'the holder was gone, and another had executed' : null
}

/**
 * Whether the process that refused was asked for this delivery by then, by another hand than the refused one, and had
 * told nobody since: maybe admitted, found its claim taken before the handler began, and is asking again.
 */
function isUnderWay(deliveryId: string, refused: Answered, from: Nanos, one: Case): boolean {
  const { pid, work, at } = refused
  const told = (one.answersByWork.get(work) ?? []).filter(
    (other) => other !== refused && other.pid === pid && other.deliveryId === deliveryId,
  )
  if (told.some((other) => other.askedAt <= at && other.at >= from)) return true
  // Killed before it told anybody: what it executed last says that it was asked, unless it told something in between.
  return (one.byWork.get(work) ?? []).some(
    (section) =>
      section.pid === pid &&
      section.deliveryId === deliveryId &&
      !one.toldOf.has(section.fence) &&
      !told.some((other) => other.at > at && other.at < section.startedAt),
  )
}

/** Admitted and never executed: as a lost attempt in the history of this work, or as a run left for the sweep. */
function isRemembered(fence: number, work: string, { traces, sections }: Case): boolean {
  const trace = traces.get(fence)
  if (trace === undefined) return false
  // A run that nobody ever executed says nothing of its work.
  const executed = sections.find(({ runId }) => runId === trace.runId)
  return executed === undefined || executed.work === work
}

/** When the cooldown of this attempt was over at the latest; null when that is not known. */
export function coolsUntil({ fence, work, endedAt }: Section, { toldOf, rules }: Case): Nanos | null {
  const told = toldOf.get(fence)
  const isUnconfirmed = told?.answer.kind === 'executed' && told.answer.settlement === 'unconfirmed'
  if (isUnconfirmed) return null
  const settledBy = told?.at ?? endedAt! + LATE_COMMIT_MS * NANOS_PER_MS
  return settledBy + BigInt(rules.cooldownMs(work)) * NANOS_PER_MS
}
