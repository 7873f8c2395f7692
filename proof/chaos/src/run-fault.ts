import { openArena } from './arena/arena.ts'
import { randomFrom, seedOf } from './arena/random.ts'
import type { Fault } from './fault.ts'
import { judge } from './oracle/judge.ts'
import { type FaultReport, reportOf, skippedReport } from './report/report.ts'
import type { Site } from './site.ts'

export interface FaultRunOptions {
  readonly seed: number
  readonly isLong: boolean
}

/** One fault, from its first injection to its report. */
export async function runFault(
  fault: Fault,
  site: Site,
  { seed, isLong }: FaultRunOptions,
  mutant: string | null,
): Promise<FaultReport> {
  const missing = (await fault.missing?.(site)) ?? null
  if (missing !== null) {
    console.log(`${fault.name}: skipped, ${missing}`)
    return skippedReport(fault, missing)
  }
  const beganAt = performance.now()
  // A seed of its own: a fault is the same whether it runs alone or after others.
  const random = randomFrom(seedOf(`${seed} ${fault.name}`))
  const form = isLong ? 'long' : 'short'
  const outcome = await fault.run({
    site,
    random,
    injections: fault.injections[form],
    sections: fault.sections?.[form] ?? 0,
    isLong,
    mutant,
    say: (text) => console.log(`${fault.name}: ${text}`),
    openArena: (arena = {}) => openArena({ serverUrl: site.url, random, mutant, ...arena }),
    judge,
  })
  return reportOf(fault, outcome, (performance.now() - beganAt) / 1_000)
}
