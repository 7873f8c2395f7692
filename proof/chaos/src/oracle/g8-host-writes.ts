import type { RunPicture } from '../arena/ledger-picture.ts'
import type { Violation } from './ruling.ts'

/** A row that a handler wrote in the transaction that settles its run. */
export interface Effect {
  readonly run_id: string
  readonly fence: number
  readonly amount: number
}

/** G8: one effect for every run that succeeded, of the attempt that it shows, and none for any other. */
export function judgeHostWrites(effects: readonly Effect[], runs: readonly RunPicture[]): Violation[] {
  const violations: Violation[] = []
  const against = (what: string) => violations.push({ guarantee: 'G8', what })
  const ofRun = Map.groupBy(effects, (effect) => effect.run_id)
  for (const { id, outcome, fence, counts } of runs) {
    const written = ofRun.get(id) ?? []
    const isRight =
      outcome === 'succeeded'
        ? written.length === 1 && written[0]!.fence === fence && written[0]!.amount === counts?.total
        : written.length === 0
    if (isRight) continue
    const shown = written.map((effect) => `fence ${effect.fence}`).join(', ') || 'none'
    against(`run ${id} is ${outcome} at fence ${fence}, its effects: ${shown}`)
  }
  const known = new Set(runs.map(({ id }) => id))
  for (const { run_id, fence } of effects) {
    if (!known.has(run_id)) against(`an effect of fence ${fence} names run ${run_id}, which is not there`)
  }
  return violations
}
