import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { CHAOS_LEASE_MS } from './arena/arena.ts'
import { faults } from './faults/index.ts'
import { readOptions, USAGE } from './options.ts'
import { isClean } from './report/report.ts'
import { tableOf } from './report/table.ts'
import { runFault } from './run-fault.ts'
import { runMutants } from './run-mutants.ts'
import { openSite, type Site } from './site.ts'

const options = readOptions(process.argv.slice(2))
if (options.help) {
  console.log(USAGE)
  process.exit(0)
}
await using site = await openSite(options.url)
console.log(
  `${site.description}, lease ${CHAOS_LEASE_MS} ms, seed ${options.seed}, ${options.isLong ? 'long' : 'short'} form`,
)
if (options.mutants) {
  process.exitCode = (await runMutants(site, options)) ? 0 : 1
} else {
  const unknown = (options.only ?? []).filter((name) => !faults.some((fault) => fault.name === name))
  if (unknown.length > 0) {
    throw new Error(
      `--only names ${unknown.join(', ')}; allowed: ${faults.map((fault) => fault.name).join(', ')}`,
    )
  }
  const chosen = faults.filter((fault) => options.only?.includes(fault.name) ?? true)
  const reports = []
  for (const fault of chosen) reports.push(await runFault(fault, site, options, null))
  console.log(`\n${tableOf(reports)}\n`)
  for (const { fault, findings } of reports)
    for (const finding of findings) console.log(`${fault}: ${finding}`)
  if (options.json !== null) {
    const { seed, isLong } = options
    const result = { seed, isLong, leaseMs: CHAOS_LEASE_MS, ...whereAndWhen(site), faults: reports }
    writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
  }
  process.exitCode = reports.every(isClean) ? 0 : 1
}

function whereAndWhen({ description }: Site) {
  const gibibytes = Math.round(totalmem() / 2 ** 30)
  return {
    date: new Date().toISOString().slice(0, 10),
    server: description,
    node: process.version,
    machine: `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${gibibytes} GiB, ${process.platform}`,
  }
}
