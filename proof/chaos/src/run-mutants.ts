import { faults } from './faults/index.ts'
import { controlOf, type Mutant, mutants } from './mutants/mutants.ts'
import type { Options } from './options.ts'
import { GUARANTEES, type Ruling } from './oracle/judge.ts'
import { type FaultReport, isClean } from './report/report.ts'
import type { MutantResult } from './report/results.ts'
import { runFault } from './run-fault.ts'
import type { Site } from './site.ts'

/**
 * The short form of a fault brings about what a mutant does wrong by chance, nearly always: one that was not seen is looked
 * for with so many seeds altogether, this one and those after it.
 */
const MAX_TRIES = 10

/** Runs each mutant under its fault; tells `onResult` of each. */
export async function runMutants(
  site: Site,
  options: Options,
  interrupted: AbortSignal,
  onResult: (result: MutantResult) => void,
): Promise<void> {
  const chosen = mutants.filter((mutant) => options.only?.includes(mutant.name) ?? true)
  for (const mutant of chosen) onResult(await runMutant(mutant, site, options, interrupted))
}

async function runMutant(
  mutant: Mutant,
  site: Site,
  options: Options,
  interrupted: AbortSignal,
): Promise<MutantResult> {
  const { name, does, breaks, exclusion = null } = mutant
  const fault = faults.find((candidate) => candidate.name === mutant.fault)
  if (fault === undefined)
    throw new Error(`Mutant ${name} names the fault ${mutant.fault}, which is not there`)
  let seconds = 0
  let tries = 0
  const resultOf = (result: MutantResult['result'], { findings, skipped }: FaultReport): MutantResult => {
    return { mutant: name, does, fault: fault.name, breaks, result, tries, skipped, findings, seconds }
  }
  if (mutant.uncovering !== undefined) {
    const isCaughtBy = ({ violations }: Ruling) => violations.length > 0
    const control = { name: controlOf(mutant), exclusion, isCaughtBy }
    const report = await runFault(fault, site, options, interrupted, control)
    seconds += report.seconds
    if (report.skipped !== null) return resultOf('not tried', report)
    if (!isClean(report)) return resultOf('wrongly caught', report)
  }
  const isCaughtBy = ({ violations }: Ruling) =>
    violations.some(({ guarantee }) => breaks.includes(guarantee))
  for (;;) {
    const { isLong } = options
    const seeded = { isLong, seed: options.seed + tries }
    const report = await runFault(fault, site, seeded, interrupted, { name, exclusion, isCaughtBy })
    if (report.skipped !== null) return resultOf('not tried', report)
    tries++
    seconds += report.seconds
    const isBroken = GUARANTEES.some((one) => breaks.includes(one) && report.violations[one] > 0)
    if (isBroken || (breaks.includes('other') && report.complaints > 0)) return resultOf('caught', report)
    if (tries === MAX_TRIES || report.error !== null) return resultOf('survived', report)
  }
}

/** One line for the person at the terminal. */
export function lineOf({ mutant, does, fault, result, tries, skipped, findings }: MutantResult): string {
  if (result === 'not tried') return `- ${mutant}: not tried, ${skipped}`
  const seen = findings[0] ?? 'nothing was seen'
  if (result === 'wrongly caught') {
    return `✗ ${mutant}: caught under ${fault} already without its broken rule, for what covers for it: ${seen}`
  }
  const after = tries > 1 ? ` (with ${tries} seeds)` : ''
  return `${result === 'caught' ? '✓' : '✗'} ${mutant}, a library that ${does}${after}: ${seen}`
}
