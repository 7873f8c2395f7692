import type { Interruption } from '../arena/crew.ts'
import type { Mark } from '../arena/journal.ts'
import { answersOf, type Section } from './sections.ts'

/**
 * For every execution that a kill cut off: how long it took until the same work executed again, in ms. Works that
 * nobody had to execute again (another settled them) are left out.
 */
export function readmissionsAfterKills(
  sections: readonly Section[],
  interruptions: readonly Interruption[],
): number[] {
  const killedAt = new Map(
    interruptions.flatMap((one) => (one.kind === 'killed' ? [[one.pid, one.from]] : [])),
  )
  const byWork = Map.groupBy(sections, (section) => section.work)
  const waits: number[] = []
  for (const group of byWork.values()) {
    const inOrder = group.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
    for (const [index, section] of inOrder.entries()) {
      const at = killedAt.get(section.pid)
      const next = inOrder[index + 1]
      if (section.ending !== null || at === undefined || next === undefined) continue
      waits.push(Number(next.startedAt - at) / 1_000_000)
    }
  }
  return waits
}

/** Answers by kind, for figures in a report. */
export function countSettlements(marks: readonly Mark[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { answer } of answersOf(marks)) {
    const key =
      answer.kind === 'executed' ? answer.settlement : answer.kind === 'skipped' ? answer.reason : answer.code
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}
