import type { Evidence } from '../arena/arena.ts'
import type { RunPicture } from '../arena/ledger-picture.ts'
import type { Guarantee, Rules } from './ruling.ts'
import { type Answered, answersOf, type Section, sectionsOf } from './sections.ts'

/** One look at the evidence: each guarantee is judged by it, in a file of its own. */
export interface Case {
  readonly evidence: Evidence
  readonly rules: Rules
  readonly sections: readonly Section[]
  readonly answers: readonly Answered[]
  readonly answersByWork: ReadonlyMap<string, readonly Answered[]>
  readonly byFence: ReadonlyMap<number, Section>
  /** In the order in which they started. */
  readonly byWork: ReadonlyMap<string, readonly Section[]>
  /** What the caller of an attempt was told. */
  readonly toldOf: ReadonlyMap<number, Answered>
  /** Attempts that the ledger remembers, executed or not. */
  readonly traces: ReadonlyMap<number, Trace>
  /** Fences whose settlement is in the tables: as the run's result, or in its history other than as lost. */
  readonly settled: ReadonlySet<number>
}

/** An attempt as the tables hold it, which a delivery may have had without its handler ever beginning. */
interface Trace {
  readonly runId: string
  readonly deliveryId: string | null
}

/** Says what was violated. */
export type Against = (guarantee: Guarantee, what: string) => void

export function openCase(evidence: Evidence, rules: Rules): Case {
  const told = sectionsOf(evidence.marks, evidence.crew.interruptions)
  const answers = answersOf(evidence.marks)
  const sections = rules.settlesInHandler ? settledByThemselves(told, evidence) : told
  const byWork = Map.groupBy(sections, (section) => section.work)
  for (const group of byWork.values()) group.sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
  return {
    evidence,
    rules,
    sections,
    answers,
    answersByWork: Map.groupBy(answers, (answer) => answer.work),
    byFence: new Map(sections.map((section) => [section.fence, section])),
    byWork,
    toldOf: new Map(
      answers.flatMap((one) => (one.answer.kind === 'executed' ? [[one.answer.fence, one] as const] : [])),
    ),
    traces: tracesIn(evidence),
    settled: settledFences(evidence, answers, sections),
  }
}

/** Closed by the sweep, not by an attempt. */
export const isLost = ({ reasonCode }: RunPicture) =>
  reasonCode === 'worker.lost' || reasonCode === 'delivery.lost'

/** Ended by the attempt whose fence it shows. */
export const isSettledByAttempt = (run: RunPicture) => run.status === 'completed' && !isLost(run)

/** Ended for good, so that the cooldown runs from it. */
export const isTerminal = ({ ending }: Section) => ending === 'returned' || ending === 'failed'

/** The history keeps the newest twenty attempts. */
const HISTORY_LIMIT = 20

export const show = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part))

/**
 * What ended the run in a transaction of its own was over with the commit, whatever its handler came to afterwards: cut
 * off, told that nobody knows, or still on its way back when the next one began.
 */
function settledByThemselves(sections: readonly Section[], { ledger }: Evidence): Section[] {
  const runOf = new Map(ledger.runs.map((run) => [run.fence, run]))
  return sections.map((section) => {
    const run = runOf.get(section.fence)
    if (run === undefined || !isSettledByAttempt(run) || run.outcome !== 'succeeded') return section
    if (section.ending === 'threw' || section.ending === 'failed') return section
    const endedAt = section.settlingAt ?? section.endedAt
    return { ...section, endedAt, ending: 'returned', counts: section.counts ?? run.counts }
  })
}

function tracesIn({ ledger }: Evidence): Map<number, Trace> {
  const traces = new Map<number, Trace>()
  for (const { id, history } of ledger.runs) {
    for (const { fence, deliveryId } of history) traces.set(fence, { runId: id, deliveryId })
  }
  for (const { id, fence, deliveryId } of ledger.leftRunning) traces.set(fence, { runId: id, deliveryId })
  return traces
}

function settledFences(
  { ledger }: Evidence,
  answers: readonly Answered[],
  sections: readonly Section[],
): Set<number> {
  const runOfFence = new Map(sections.map((section) => [section.fence, section.runId]))
  const fences = new Set<number>()
  for (const run of ledger.runs) {
    if (run.fence !== null && isSettledByAttempt(run)) fences.add(run.fence)
    for (const past of run.history) if (past.outcome !== 'lost') fences.add(past.fence)
  }
  // Of a run with more attempts than its history keeps, the older settlements are only in the answers.
  for (const run of ledger.runs) {
    if (run.history.length < HISTORY_LIMIT) continue
    const oldest = Math.min(...run.history.map((past) => past.fence))
    for (const { answer } of answers) {
      if (answer.kind !== 'executed' || answer.settlement !== 'settled' || answer.fence >= oldest) continue
      if (runOfFence.get(answer.fence) === run.id) fences.add(answer.fence)
    }
  }
  return fences
}
