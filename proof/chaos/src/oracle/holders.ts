import type { Nanos } from '../arena/journal.ts'
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
 * Why nobody can have held the work under this fence at any moment from `from` to `to`; null when somebody can. It may
 * have been held from when its delivery asked until its caller was told that it is settled; where that is not known,
 * until the next attempt began and its own process was gone. Its own process holds it until its caller is told, whatever
 * others have done meanwhile: `askedBy` is who refused for it.
 */
export function mayHold(
  fence: number,
  work: string,
  [from, to]: readonly [Nanos, Nanos],
  askedBy: number,
  one: Case,
): string | null {
  const section = one.byFence.get(fence)
  const told = one.toldOf.get(fence)
  if (section === undefined && told === undefined && !isRemembered(fence, work, one)) {
    return 'that holder never was'
  }
  if (told !== undefined && told.askedAt > to) return 'the holder had not asked yet'
  const isOver = told?.answer.kind === 'executed' && told.answer.settlement !== 'unconfirmed'
  if (isOver) return told.at < from ? 'the holder had settled before' : null
  const next = one.byWork.get(work)?.find((later) => later.fence > fence)
  if (section !== undefined && section.pid === askedBy && (told?.at ?? FOREVER) >= from) return null
  const goneAt = section === undefined ? 0n : (section.endedAt ?? FOREVER)
  const until = next === undefined ? FOREVER : next.startedAt > goneAt ? next.startedAt : goneAt
  return until < from ? 'the holder was gone, and another had executed' : null
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
