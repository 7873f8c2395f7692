import type { Interruption } from '../arena/crew.ts'
import type { Section } from './sections.ts'

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
