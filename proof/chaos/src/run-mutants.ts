import { faults } from './faults/index.ts'
import { mutants } from './mutants/mutants.ts'
import type { Options } from './options.ts'
import type { Guarantee } from './oracle/judge.ts'
import { runFault } from './run-fault.ts'
import type { Site } from './site.ts'

/** Runs each mutant under its fault. True when every one was caught by a guarantee that it breaks. */
export async function runMutants(site: Site, options: Options): Promise<boolean> {
  const unknown = (options.only ?? []).filter((name) => !mutants.some((mutant) => mutant.name === name))
  if (unknown.length > 0) {
    throw new Error(
      `--only names ${unknown.join(', ')}; allowed: ${mutants.map(({ name }) => name).join(', ')}`,
    )
  }
  const chosen = mutants.filter((mutant) => options.only?.includes(mutant.name) ?? true)
  let survivors = 0
  let untried = 0
  for (const mutant of chosen) {
    const fault = faults.find(({ name }) => name === mutant.fault)
    if (fault === undefined)
      throw new Error(`Mutant ${mutant.name} names the fault ${mutant.fault}, which is not there`)
    const report = await runFault(fault, site, options, mutant.name)
    if (report.skipped !== null) {
      untried++
      console.log(`- ${mutant.name}: not tried, ${report.skipped}`)
      continue
    }
    const broken = mutant.breaks.filter((name) => report.violations[name as Guarantee] > 0)
    const isCaught = broken.length > 0 || (mutant.breaks.includes('other') && report.complaints > 0)
    if (!isCaught) survivors++
    const seen = report.findings[0] ?? 'nothing was seen'
    console.log(`${isCaught ? '✓' : '✗'} ${mutant.name}, a library that ${mutant.does}: ${seen}`)
  }
  console.log(`${chosen.length - survivors - untried} caught, ${survivors} survived, ${untried} not tried`)
  return survivors === 0
}
