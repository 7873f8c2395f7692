import type { Answer } from '../arena/journal.ts'
import { type Against, type Case, isTerminal, show } from './case.ts'
import { askedFrom, coolsUntil, objectionToHolder } from './holders.ts'
import type { Answered } from './sections.ts'

/** Sections that a finding tells of the work. */
const MAX_SHOWN = 5

type Skipped = Answered & { readonly answer: Extract<Answer, { kind: 'skipped' }> }

/** G5, why a delivery was not executed: every refusal has a holder, or a run that ended, and at that time. */
export function judgeReasons(one: Case, against: Against): void {
  for (const answered of one.answers) {
    if (answered.answer.kind !== 'skipped') continue
    const why = objectionTo(answered as Skipped, one)
    if (why === null) continue
    const { deliveryId, answer, pid, askedAt, at } = answered
    const how = answer.action === 'discard' ? 'discarded' : 'put off'
    const others = (one.byWork.get(answered.work) ?? []).slice(0, MAX_SHOWN)
    const asked = `asked of ${pid} at ${askedAt}, told at ${at}; sections of the work: ${show(others)}`
    against('G5', `${deliveryId} was ${how} for ${answer.reason}, and ${why}: ${show(answer)}; ${asked}`)
  }
}

/** What is wrong with the reason; null when it holds. */
function objectionTo(skipped: Skipped, one: Case): string | null {
  const { reason, action } = skipped.answer
  if (reason === 'lock_busy') return action === 'discard' ? 'a busy lock decides nothing' : null
  if (reason === 'overlap') return objectionToOverlap(skipped, one)
  if (reason === 'cooldown') return objectionToCooldown(skipped, one)
  if (reason === 'already_terminal') return objectionToEnd(skipped, one)
  return 'no delivery here names a run'
}

function objectionToOverlap(skipped: Skipped, one: Case): string | null {
  const { answer, deliveryId, work } = skipped
  const { holder, action } = answer
  if (holder === null) return 'nobody is named'
  if (action === 'discard' && holder.deliveryId === deliveryId) return 'it is itself the holder'
  const section = one.byFence.get(holder.fence)
  if (section !== undefined && section.work !== work) return 'the holder is other work'
  if (section !== undefined && section.deliveryId !== holder.deliveryId) {
    return `fence ${holder.fence} was executed by ${section.deliveryId}`
  }
  const trace = one.traces.get(holder.fence)
  if (trace !== undefined && trace.deliveryId !== holder.deliveryId) {
    return `fence ${holder.fence} was an attempt of ${trace.deliveryId}`
  }
  return objectionToHolder(skipped, holder, one)
}

function objectionToCooldown(skipped: Skipped, one: Case): string | null {
  const { answer, work, at } = skipped
  if (answer.holder === null) return 'nobody is named'
  const section = one.byFence.get(answer.holder.fence)
  if (section === undefined) return 'nobody executed under that fence'
  if (section.work !== work) return 'the holder is other work'
  if (one.rules.cooldownMs(work) === 0) return 'the work has no cooldown'
  // What threw to be retried is judged as G3.
  if (section.ending === 'threw' || section.ending === 'stopped') return null
  if (!isTerminal(section)) return 'it was cut off'
  if (!one.settled.has(section.fence)) return 'it never settled'
  if (section.endedAt! > at) return 'it had not ended'
  const until = coolsUntil(section, one)
  return until !== null && askedFrom(skipped, one) > until ? 'its cooldown was over' : null
}

/**
 * Its own attempt ended the run; or it had one, which threw or was cut off, maybe before its handler began, and another
 * delivery ended the run, well, before it was told so.
 */
function objectionToEnd({ answer, deliveryId, at }: Skipped, one: Case): string | null {
  const { runId } = answer
  if (runId === null) return 'no run is named'
  const ofRun = one.sections.filter((section) => section.runId === runId)
  const isOwn =
    ofRun.some((section) => section.deliveryId === deliveryId) ||
    [...one.traces.values()].some((trace) => trace.runId === runId && trace.deliveryId === deliveryId)
  if (!isOwn) return 'it never had an attempt of that run'
  const isEnded = ofRun.some(
    (section) => section.ending === 'returned' && one.settled.has(section.fence) && section.endedAt! <= at,
  )
  return isEnded ? null : 'no attempt of that run had succeeded'
}
