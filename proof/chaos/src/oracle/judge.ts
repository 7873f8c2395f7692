import type { Evidence } from '../arena/arena.ts'
import type { Nanos } from '../arena/journal.ts'
import { SECRET } from '../arena/secret.ts'
import { type Answered, answersOf, overlapsIn, type Section, sectionsOf } from './sections.ts'

export const GUARANTEES = ['G1', 'G2', 'G3', 'G4', 'G5', 'G6', 'G7', 'G8'] as const
export type Guarantee = (typeof GUARANTEES)[number]

export interface Violation {
  readonly guarantee: Guarantee
  readonly what: string
}

export interface Ruling {
  readonly sections: readonly Section[]
  readonly answers: readonly Answered[]
  readonly violations: readonly Violation[]
}

export interface Rules {
  /** The cooldown of a work, in ms. */
  cooldownMs(work: string): number
  /**
   * Overlaps, and starts in the cooldown of the earlier one, that the promise leaves out: those of a process frozen past
   * its lease in lease mode.
   */
  isExempt?(earlier: Section, later: Section): boolean
  /** A given-up settlement is no acknowledgement; where the database stayed away that long on purpose. */
  readonly mayGiveUp?: boolean
  /** Handlers settle in a transaction of their own: a kill may come between that and their last mark. */
  readonly settlesInHandler?: boolean
}

const NANOS_PER_MS = 1_000_000n

/** Decides from the journal, the tables and the queue alone; nothing of the library's own word is taken but verdicts. */
export function judge(evidence: Evidence, rules: Rules): Ruling {
  const { marks, crew, ledger, deliveries } = evidence
  const told = sectionsOf(marks, crew.interruptions)
  const answers = answersOf(marks)
  const violations: Violation[] = []
  const against = (guarantee: Guarantee, what: string) => violations.push({ guarantee, what })

  const runOfFence = new Map(told.map((section) => [section.fence, section.runId]))
  const settled = settledFences(evidence, answers, runOfFence)
  const sections = rules.settlesInHandler
    ? told.map((section) => endedUnseen(section, settled, evidence))
    : told
  const byFence = new Map(sections.map((section) => [section.fence, section]))
  const byWork = Map.groupBy(sections, (section) => section.work)
  for (const group of byWork.values()) group.sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1))

  // G1: no two at once
  for (const [earlier, later] of overlapsIn(sections)) {
    if (rules.isExempt?.(earlier, later)) continue
    against('G1', `${show(earlier)} and ${show(later)} executed at the same time`)
  }

  // G2: nothing starts within the cooldown of a terminal settlement
  for (const [work, group] of byWork) {
    const cooldown = BigInt(rules.cooldownMs(work)) * NANOS_PER_MS
    if (cooldown === 0n) continue
    let coolsUntil: Nanos = 0n
    let cooling: Section | null = null
    for (const section of group) {
      const isTooEarly = section.startedAt < coolsUntil && !rules.isExempt?.(cooling!, section)
      if (isTooEarly) against('G2', `${show(section)} started within the cooldown`)
      const isTerminal = section.ending === 'returned' || section.ending === 'failed'
      // The settlement came after the end of the handler: its cooldown lasts at least until then.
      if (isTerminal && settled.has(section.fence) && section.endedAt! + cooldown > coolsUntil) {
        coolsUntil = section.endedAt! + cooldown
        cooling = section
      }
    }
  }

  // G3: after a non-terminal failure the retry is not refused for it
  for (const [deliveryId, told] of Map.groupBy(answers, (answer) => answer.deliveryId)) {
    for (const [index, answer] of told.entries()) {
      if (answer.answer.kind !== 'skipped' || answer.answer.reason !== 'cooldown') continue
      const before = told[index - 1]?.answer
      if (before?.kind !== 'executed' || byFence.get(before.fence)?.ending !== 'threw') continue
      const others = byWork.get(answer.work) ?? []
      const isSomebodyElse = others.some(
        (section) =>
          section.deliveryId !== deliveryId &&
          (section.ending === 'returned' || section.ending === 'failed') &&
          section.fence > before.fence,
      )
      if (!isSomebodyElse) against('G3', `the retry of ${deliveryId} was refused: ${show(answer.answer)}`)
    }
  }

  // G4: a run shows the attempt with the highest fence that settled, and only its numbers
  const highest = new Map<string, number>()
  for (const fence of settled) {
    const runId = runOfFence.get(fence)
    if (runId !== undefined && fence > (highest.get(runId) ?? 0)) highest.set(runId, fence)
  }
  for (const run of ledger.runs) {
    if (run.outcome === 'skipped') continue
    const shown = run.fence === null ? undefined : byFence.get(run.fence)
    const best = highest.get(run.id) ?? 0
    if (run.fence !== null && run.fence < best) {
      against('G4', `run ${run.id} shows fence ${run.fence}, and ${best} settled after it`)
    }
    const isSettledByHandler = run.status === 'completed' && !isLost(run.reasonCode)
    if (isSettledByHandler && shown !== undefined) {
      const isRight =
        shown.counts !== null &&
        run.counts?.total === shown.counts.total &&
        run.counts.processed === shown.counts.processed
      if (!isRight)
        against('G4', `run ${run.id} shows ${show(run.counts)}, its attempt had ${show(shown.counts)}`)
      const isOutcome = (run.outcome === 'succeeded') === (shown.ending === 'returned')
      if (!isOutcome) against('G4', `run ${run.id} is ${run.outcome}, its attempt ${shown.ending}`)
    }
    if (isSettledByHandler && run.status === 'completed' && shown === undefined) {
      against('G4', `run ${run.id} ended as ${run.outcome} under fence ${run.fence}, which nobody executed`)
    }
    for (const past of run.history) {
      const section = byFence.get(past.fence)
      if (past.outcome !== 'lost' && section?.counts && past.total !== section.counts.total) {
        against('G4', `the history of run ${run.id} shows ${past.total} for fence ${past.fence}`)
      }
    }
  }
  for (const { answer, deliveryId } of answers) {
    if (answer.kind !== 'executed') continue
    const isIn = settled.has(answer.fence)
    if (answer.settlement === 'superseded' && isInLedger(evidence, answer.fence)) {
      against('G4', `${deliveryId} was told superseded, and the ledger shows fence ${answer.fence}`)
    }
    if ((answer.settlement === 'settled' || answer.settlement === 'already_settled') && !isIn) {
      against('G5', `${deliveryId} was told ${answer.settlement}, and the ledger knows nothing of it`)
    }
    if (answer.settlement === 'unconfirmed' && !rules.mayGiveUp) {
      against('G5', `${deliveryId}: the settlement of fence ${answer.fence} was given up`)
    }
  }

  // G5: every delivery ended, and for a reason
  const ofDelivery = Map.groupBy(answers, (answer) => answer.deliveryId)
  for (const record of deliveries.values()) {
    if (!record.isComplete) {
      against('G5', `${record.deliveryId} never came to an end`)
      continue
    }
    const told = ofDelivery.get(record.deliveryId) ?? []
    const last = told.findLast(({ answer }) => isEnd(answer))
    if (last === undefined) against('G5', `${record.deliveryId} ended without an answer that ends it`)
    else checkReason(last)
  }
  function checkReason({ answer, deliveryId, work, at }: Answered) {
    if (answer.kind !== 'skipped') return
    const group = byWork.get(work) ?? []
    if (answer.reason === 'already_terminal') {
      // Its own attempt ended the run; or it had one that was cut off, maybe before its handler began, and another did.
      const mayBeCutOff = crew.interruptions.length > 0
      const own = group.some(
        (section) =>
          settled.has(section.fence) &&
          (section.deliveryId === deliveryId || (mayBeCutOff && section.runId === answer.runId)),
      )
      if (!own) against('G5', `${deliveryId} was discarded as ended, and never settled`)
    } else if (
      answer.reason === 'overlap' ||
      answer.reason === 'cooldown' ||
      answer.reason === 'not_canonical'
    ) {
      const fence = answer.holder?.fence
      const holder = fence === undefined ? undefined : byFence.get(fence)
      if (answer.holder?.deliveryId === deliveryId && answer.reason === 'overlap') {
        against('G5', `${deliveryId} was discarded for itself`)
      } else if (holder !== undefined && holder.work !== work) {
        against('G5', `${deliveryId} was discarded for ${show(holder)}, which is other work`)
      } else if (holder === undefined && !wasCutBeforeItsHandler(answer.holder?.deliveryId, at)) {
        against('G5', `${deliveryId} was discarded for a holder that never executed: ${show(answer)}`)
      }
    } else {
      against('G5', `${deliveryId} was discarded for ${answer.reason}`)
    }
  }
  /** Its own delivery is in the queue's care: it must have come to an end as well. */
  function wasCutBeforeItsHandler(deliveryId: string | undefined, _at: Nanos): boolean {
    return deliveryId !== undefined && deliveries.get(deliveryId)?.isComplete === true
  }
  for (const work of new Set([...deliveries.values()].map((record) => record.work))) {
    const group = byWork.get(work) ?? []
    const isDone = group.some(
      ({ ending, fence }) => (ending === 'returned' || ending === 'failed') && settled.has(fence),
    )
    if (!isDone && !rules.mayGiveUp) against('G5', `no attempt of ${work} was ever settled for good`)
  }
  for (const run of ledger.runs) {
    if (run.status !== 'completed' && run.status !== 'retrying' && run.status !== 'queued') {
      against('G5', `run ${run.id} is ${run.status} after the sweep`)
    }
  }
  if (ledger.heldClaims > 0) against('G5', `${ledger.heldClaims} claims are held after the sweep`)
  if (ledger.sweptAgain > 0) against('G5', `a second sweep found ${ledger.sweptAgain} runs`)

  // G6: the host is safe
  for (const why of crew.fallen) against('G6', why)
  for (const mark of marks) if (mark.mark === 'fell') against('G6', mark.why)
  for (const { answer, deliveryId } of answers) {
    if (answer.kind === 'unavailable' && !EXPECTED_CODES.has(answer.code)) {
      against('G6', `${deliveryId} met ${answer.code}: ${answer.message}`)
    }
  }
  if (ledger.connectionsLeft > 0) against('G6', `${ledger.connectionsLeft} connections are left`)

  // G7: no secret in any row
  if (ledger.text.includes(SECRET)) against('G7', 'the secret of the provider is in a row')

  return { sections, answers, violations }
}

function endedUnseen(section: Section, settled: ReadonlySet<number>, { ledger }: Evidence): Section {
  // Cut off after the commit, or told that nobody knows of it.
  const isUnseen = section.ending === null || section.ending === 'stopped'
  if (!isUnseen || !settled.has(section.fence)) return section
  const counts = ledger.runs.find((run) => run.fence === section.fence)?.counts ?? null
  return { ...section, ending: 'returned', counts }
}

/** What a caller is told when the database is away, or its process is shutting down. */
const EXPECTED_CODES = new Set(['database_unavailable', 'ledger_closed'])

const isLost = (reasonCode: string | null) => reasonCode === 'worker.lost' || reasonCode === 'delivery.lost'

function isEnd(answer: Answered['answer']): boolean {
  return answer.kind === 'executed' || (answer.kind === 'skipped' && answer.action === 'discard')
}

/** Fences whose settlement is in the tables: as the run's result, or in its history other than as lost. */
function settledFences(
  { ledger }: Evidence,
  answers: readonly Answered[],
  runOfFence: ReadonlyMap<number, string>,
): Set<number> {
  const fences = new Set<number>()
  for (const run of ledger.runs) {
    if (run.fence !== null && run.status === 'completed' && !isLost(run.reasonCode)) fences.add(run.fence)
    for (const past of run.history) if (past.outcome !== 'lost') fences.add(past.fence)
  }
  // The history keeps the newest twenty: of such a run older settlements are only in the answers.
  for (const run of ledger.runs) {
    if (run.history.length < 20) continue
    const oldest = Math.min(...run.history.map((past) => past.fence))
    for (const { answer } of answers) {
      if (answer.kind !== 'executed' || answer.settlement !== 'settled' || answer.fence >= oldest) continue
      if (runOfFence.get(answer.fence) === run.id) fences.add(answer.fence)
    }
  }
  return fences
}

function isInLedger({ ledger }: Evidence, fence: number): boolean {
  return ledger.runs.some(
    (run) =>
      (run.fence === fence && run.status === 'completed' && !isLost(run.reasonCode)) ||
      run.history.some((past) => past.fence === fence && past.outcome !== 'lost'),
  )
}

const show = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part))
