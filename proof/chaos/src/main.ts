import { cpus, totalmem } from 'node:os'
import { exitFor, orExit } from '../../../tools/lib/command-options.ts'
import {
  InterruptedError,
  interruptedExitCode,
  listenForInterruption,
} from '../../../tools/lib/interruption.ts'
import { assertWritable, writeJson } from '../../../tools/lib/json-file.ts'
import { CHAOS_LEASE_MS } from './arena/arena.ts'
import { faults } from './faults/index.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { type FaultReport, isClean, untold } from './report/report.ts'
import type { Circumstances, MutantResult, MutantResults, Results } from './report/results.ts'
import { tableOf } from './report/table.ts'
import { runFault } from './run-fault.ts'
import { lineOf, runMutants } from './run-mutants.ts'
import { openSite, type Site } from './site.ts'

const options = orExit(() => {
  const read = readOptions(process.argv.slice(2))
  if (read.json !== null && !read.help) assertWritable(read.json)
  return read
})
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}
const interrupted = listenForInterruption()
const opened = await openSite(options.url).catch((error): never => {
  const code = interruptedExitCode(interrupted)
  return code === null ? exitFor(error) : process.exit(code)
})
const exitCode = await run(opened).catch((error) => {
  console.error(error)
  return interruptedExitCode(interrupted) ?? 1
})
// Not by `process.exitCode` alone: what an interrupted fault left under way would keep the process.
process.exit(exitCode)

/** The exit code. */
async function run(opened: Site): Promise<number> {
  await using site = opened
  console.log(
    `${site.description}, lease ${CHAOS_LEASE_MS} ms, seed ${options.seed}, ${options.isLong ? 'long' : 'short'} form`,
  )
  try {
    interrupted.throwIfAborted()
    const circumstances = circumstancesOf(options, site)
    return await (options.mutants ? tryMutants(site, circumstances) : tryFaults(site, circumstances))
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error
    console.error(error.message)
    return error.exitCode
  }
}

async function tryFaults(site: Site, circumstances: Circumstances): Promise<number> {
  const chosen = faults.filter((fault) => options.only?.includes(fault.name) ?? true)
  const reports: FaultReport[] = []
  try {
    for (const fault of chosen) {
      reports.push(await runFault(fault, site, options, interrupted))
      write({ ...circumstances, isComplete: reports.length === chosen.length, faults: reports })
    }
  } finally {
    // Of an interrupted run, what it came to.
    tell(reports)
  }
  const skipped = reports.flatMap((report) =>
    report.skipped === null ? [] : [`${report.fault} (${report.skipped})`],
  )
  return verdict(
    reports.filter((report) => !isClean(report)).map(({ fault }) => fault),
    skipped,
  )
}

function tell(reports: readonly FaultReport[]): void {
  if (reports.length > 0) console.log(`\n${tableOf(reports)}\n`)
  for (const report of reports) {
    for (const finding of report.findings) console.log(`${report.fault}: ${finding}`)
    if (untold(report) > 0) console.log(`${report.fault}: and ${untold(report)} more`)
  }
}

async function tryMutants(site: Site, circumstances: Circumstances): Promise<number> {
  const results: MutantResult[] = []
  const save = (isComplete: boolean) => write({ ...circumstances, isComplete, mutants: results })
  await runMutants(site, options, interrupted, (result) => {
    console.log(lineOf(result))
    results.push(result)
    save(false)
  })
  save(true)
  const of = (wanted: MutantResult['result']) => results.filter(({ result }) => result === wanted)
  console.log(`${of('caught').length} caught, ${of('survived').length} survived`)
  return verdict(
    [...of('survived'), ...of('wrongly caught')].map(({ mutant, result }) => `${mutant} (${result})`),
    of('not tried').map(({ mutant, skipped }) => `${mutant} (${skipped})`),
  )
}

/** Says what failed and what was skipped; the exit code. */
function verdict(failed: readonly string[], skipped: readonly string[]): number {
  if (failed.length > 0) console.log(`FAILED: ${failed.join(', ')}`)
  if (skipped.length > 0) {
    const weight = options.isStrict ? 'which --strict takes for failed' : 'of which nothing is known'
    console.log(`SKIPPED, ${weight}: ${skipped.join(', ')}`)
  }
  return failed.length > 0 || (options.isStrict && skipped.length > 0) ? 1 : 0
}

function write(results: Results | MutantResults): void {
  if (options.json !== null) writeJson(options.json, results)
}

function circumstancesOf({ seed, isLong }: Options, { description }: Site): Circumstances {
  const gibibytes = Math.round(totalmem() / 2 ** 30)
  return {
    seed,
    isLong,
    leaseMs: CHAOS_LEASE_MS,
    date: new Date().toISOString().slice(0, 10),
    server: description,
    node: process.version,
    machine: `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${gibibytes} GiB, ${process.platform}`,
  }
}
