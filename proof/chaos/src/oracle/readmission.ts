import type { Nanos } from '@opsledger/testing'
import type { Evidence } from '../arena/arena.ts'
import type { Section } from './sections.ts'

/**
 * For every execution that a kill cut off: how long it took until the same work executed again, in ms. Works that
 * nobody had to execute again (another settled them) are left out. A process may be killed between its admission and the
 * first mark of its handler: then the ledger has its lost attempt, and the time counts from that kill.
 */
export function readmissionsAfterKills(sections: readonly Section[], { crew, ledger }: Evidence): number[] {
  const killedAt = new Map(
    crew.interruptions.flatMap((one) => (one.kind === 'killed' ? [[one.pid, one.from]] : [])),
  )
  const historyOf = new Map(ledger.runs.map(({ id, history }) => [id, history]))
  /** Of those that had the run between the two, the last one that was killed. */
  const lastKill = (cutOff: Section, next: Section): Nanos | undefined => {
    const kills = (historyOf.get(cutOff.runId) ?? []).flatMap(({ fence, workerId, outcome }) => {
      if (outcome !== 'lost' || fence < cutOff.fence || fence >= next.fence) return []
      return killedAt.get(ledger.pids.get(workerId) ?? 0) ?? []
    })
    return [...kills, killedAt.get(cutOff.pid)].reduce(
      (last, kill) => (last === undefined || (kill !== undefined && kill > last) ? kill : last),
      undefined,
    )
  }
  const byWork = Map.groupBy(sections, (section) => section.work)
  const waits: number[] = []
  for (const group of byWork.values()) {
    const inOrder = group.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
    for (const [index, section] of inOrder.entries()) {
      const next = inOrder[index + 1]
      if (section.ending !== null || next === undefined || !killedAt.has(section.pid)) continue
      waits.push(Number(next.startedAt - lastKill(section, next)!) / 1_000_000)
    }
  }
  return waits
}
