import type { PastPicture, RunPicture } from '../arena/ledger-picture.ts'
import { type Against, type Case, isSettledByAttempt, show } from './case.ts'
import { isSameCounts, NO_COUNTS } from './g4-final-attempt.ts'

/** G4, the attempts before the last one: each entry of a run's history is an attempt of it, once, and as it ended. */
export function judgeHistory(one: Case, against: Against): void {
  const runOf = new Map<number, string>()
  for (const run of one.evidence.ledger.runs) {
    const fences = run.history.map(({ fence }) => fence)
    for (const fence of fences) {
      if (runOf.has(fence)) against('G4', `fence ${fence} is in the history of run ${run.id}, and once more`)
      runOf.set(fence, run.id)
    }
    if (fences.some((fence, index) => index > 0 && fence < fences[index - 1]!)) {
      against('G4', `the history of run ${run.id} is out of order: ${fences.join(', ')}`)
    }
    const last = fences.at(-1) ?? 0
    const isShownTwice = isSettledByAttempt(run) && last === run.fence
    if (run.fence === null ? last > 0 : last > run.fence || isShownTwice) {
      against('G4', `run ${run.id} shows fence ${run.fence}, and its history ends with ${last}`)
    }
    for (const past of run.history) judgePast(past, run, one, against)
  }
}

function judgePast(past: PastPicture, run: RunPicture, one: Case, against: Against): void {
  const { fence, outcome } = past
  const what = `the history of run ${run.id} shows ${show(past)}`
  const section = one.byFence.get(fence)
  if (section === undefined) {
    const isKnown = outcome === 'lost' ? mayBeLost(past, run, one) : mayBeHandedBack(past, one)
    if (!isKnown) against('G4', `${what}, which nobody executed`)
    return
  }
  if (section.runId !== run.id || section.deliveryId !== past.deliveryId) {
    against('G4', `${what}, which ${section.deliveryId} executed in run ${section.runId}`)
  }
  if (outcome === 'lost') return
  if (outcome !== (section.ending === 'returned' ? 'succeeded' : 'failed')) {
    against('G4', `${what}, and its attempt ${section.ending}`)
  }
  if (!isSameCounts(past, section.counts)) against('G4', `${what}, its attempt had ${show(section.counts)}`)
}

/** Admitted and never begun: its caller was told so, its reply was lost, or its own process was stopped in between. */
function mayBeLost(past: PastPicture, run: RunPicture, one: Case): boolean {
  if (one.toldOf.has(past.fence) || one.rules.losesReplies) return true
  const later = one.sections.filter(({ runId, fence }) => runId === run.id && fence > past.fence)
  // Whoever had the run after it took it from a process that was stopped already.
  return interruptionsOf(past, one).some(({ from }) => later.every(({ startedAt }) => startedAt > from))
}

/** Stopped before its handler began, with nothing counted; a process that was killed may have told nobody. */
function mayBeHandedBack(past: PastPicture, one: Case): boolean {
  if (past.outcome !== 'failed' || !isSameCounts(past, NO_COUNTS)) return false
  const told = one.toldOf.get(past.fence)?.answer
  if (told === undefined) return interruptionsOf(past, one).some(({ kind }) => kind === 'killed')
  return told.kind === 'executed' && told.isHandedBack
}

function interruptionsOf({ workerId }: PastPicture, { evidence: { crew, ledger } }: Case) {
  return crew.interruptions.filter(({ pid }) => pid === ledger.pids.get(workerId))
}
