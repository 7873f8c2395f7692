import type { RunPicture } from '../arena/ledger-picture.ts'
import { type Against, type Case, isLost, isSettledByAttempt, show } from './case.ts'
import type { Section } from './sections.ts'

/** G4: a run shows the attempt with the highest fence that settled, and only its numbers. */
export function judgeFinalAttempt(one: Case, against: Against): void {
  const { evidence, byFence, settled } = one
  const highest = new Map<string, number>()
  for (const fence of settled) {
    const runId = byFence.get(fence)?.runId
    if (runId !== undefined && fence > (highest.get(runId) ?? 0)) highest.set(runId, fence)
  }
  for (const run of evidence.ledger.runs) {
    const best = highest.get(run.id) ?? 0
    if (run.fence !== null && run.fence < best) {
      against('G4', `run ${run.id} shows fence ${run.fence}, and ${best} settled after it`)
    }
    if (run.outcome === 'skipped') {
      against('G4', `run ${run.id} is skipped, and no delivery here names a run`)
    } else if (isSettledByAttempt(run)) judgeResult(run, one, against)
    else if (isLost(run)) judgeSwept(run, one, against)
  }
  judgeAnswers(one, against)
}

function judgeResult(run: RunPicture, { byFence, rules }: Case, against: Against): void {
  const shown = run.fence === null ? undefined : byFence.get(run.fence)
  if (shown === undefined) {
    against('G4', `run ${run.id} ended as ${run.outcome} under fence ${run.fence}, which nobody executed`)
    return
  }
  if (shown.runId !== run.id) {
    against('G4', `run ${run.id} shows fence ${run.fence}, which is an attempt of run ${shown.runId}`)
  }
  if (!isSameCounts(run.counts, shown.counts)) {
    against('G4', `run ${run.id} shows ${show(run.counts)}, its attempt had ${show(shown.counts)}`)
  }
  if (!outcomesOf(shown, rules.settlesInHandler === true).includes(run.outcome)) {
    against('G4', `run ${run.id} is ${run.outcome}, its attempt ${shown.ending}`)
  }
}

/** What ends a run: what threw is to be retried, and what was stopped is handed back. */
function outcomesOf({ ending }: Section, settlesInHandler: boolean): string[] {
  if (ending === 'returned') return ['succeeded']
  // Its transaction lost the database, each time: the last attempt of a delivery is its end.
  return ending === 'failed' || (settlesInHandler && ending === 'stopped') ? ['failed'] : []
}

/** The counts of the last settled attempt, or none; under a fence of the sweep's own where a worker was lost. */
function judgeSwept(run: RunPicture, { byFence }: Case, against: Against): void {
  if (run.reasonCode === 'worker.lost' && run.fence !== null && byFence.has(run.fence)) {
    against('G4', `run ${run.id} was swept under fence ${run.fence}, which was executed`)
  }
  const last = run.history.findLast(({ outcome }) => outcome !== 'lost') ?? NO_COUNTS
  if (!isSameCounts(run.counts, last)) {
    against('G4', `run ${run.id} was swept with ${show(run.counts)}, and settled last with ${show(last)}`)
  }
}

/** What callers are told of their attempts agrees with the tables. */
function judgeAnswers({ answers, byFence, settled }: Case, against: Against): void {
  const seen = new Set<number>()
  for (const { answer, deliveryId } of answers) {
    if (answer.kind !== 'executed') continue
    const { fence, settlement, isHandedBack } = answer
    if (seen.has(fence)) against('G4', `${deliveryId} was told of fence ${fence}, as another was`)
    seen.add(fence)
    if (settlement === 'superseded' && settled.has(fence)) {
      against('G4', `${deliveryId} was told superseded, and the ledger shows fence ${fence}`)
    }
    const section = byFence.get(fence)
    if (section === undefined ? !isHandedBack : section.deliveryId !== deliveryId) {
      against('G4', `${deliveryId} was told of fence ${fence}, which it did not execute`)
    }
  }
}

interface MaybeCounts {
  readonly total: number | null
  readonly processed: number | null
  readonly failed: number | null
}

export const NO_COUNTS: MaybeCounts = { total: 0, processed: 0, failed: 0 }

export function isSameCounts(one: MaybeCounts | null, other: MaybeCounts | null): boolean {
  return (
    one !== null &&
    other !== null &&
    one.total === other.total &&
    one.processed === other.processed &&
    one.failed === other.failed
  )
}
