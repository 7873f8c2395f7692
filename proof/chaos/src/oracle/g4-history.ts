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
  const { byFence, toldOf, evidence, rules } = one
  const { fence, outcome } = past
  const what = `the history of run ${run.id} shows ${show(past)}`
  const section = byFence.get(fence)
  const isCut = evidence.crew.interruptions.length > 0
  if (section === undefined) {
    const told = toldOf.get(fence)?.answer
    const isKnown =
      outcome === 'lost'
        ? told !== undefined || isCut || rules.losesReplies
        : // Stopped before its handler began: handed back, with nothing counted.
          outcome === 'failed' &&
          isSameCounts(past, NO_COUNTS) &&
          (told === undefined ? isCut : told.kind === 'executed' && told.isHandedBack)
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
