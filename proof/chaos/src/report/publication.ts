import { type FaultReport, isClean, untold } from './report.ts'
import type { Results } from './results.ts'
import { tableOf } from './table.ts'
import { unitOf } from './units.ts'

/** A run of a fault, and which. */
interface Told {
  readonly report: FaultReport
  readonly results: Results
}

/**
 * The results of the long form as a section of docs/faults.md. Several files, where the faults were run in more than one
 * go, become one table; of a fault that was run twice the later one counts, and an earlier one is told of as well if
 * something was found in it.
 * @throws Error for results of the short form, and for what is no result
 */
export function publicationOf(
  files: readonly { readonly file: string; readonly content: unknown }[],
  faults: readonly { readonly name: string }[],
): string {
  if (files.length === 0) throw new Error('Name the files that `pnpm chaos --long --json FILE` wrote')
  const all = files.map(({ file, content }) => resultsIn(file, content))
  const [told, missing]: [Told[], string[]] = [[], []]
  for (const { name } of faults) {
    const runs = all.flatMap((results) =>
      results.faults.filter(({ fault }) => fault === name).map((report) => ({ report, results })),
    )
    const done = runs.filter(({ report }) => report.skipped === null)
    const last = done.at(-1)
    if (last === undefined) {
      const why = runs.at(-1)?.report.skipped
      missing.push(why === undefined ? `\`${name}\`` : `\`${name}\` (skipped: ${why})`)
      continue
    }
    const earlier = done.slice(0, -1).filter(({ report }) => !isClean(report))
    told.push(...earlier.map((run) => ({ ...run, report: named(run, ' (an earlier run)') })), last)
  }
  const of = (key: 'seed' | 'date' | 'server' | 'node' | 'machine' | 'leaseMs') =>
    [...new Set(told.map(({ results }) => results[key]))].join(', ')
  const figures = told.flatMap(({ report }) =>
    Object.entries(report.figures).map(([name, value]) => `- ${report.title}: ${name}: ${value}`),
  )
  const findings = told.flatMap(({ report }) => [
    ...report.findings.map((finding) => `- ${report.title}: ${finding.split('\n')[0]}`),
    ...(untold(report) > 0 ? [`- ${report.title}: and ${untold(report)} more`] : []),
  ])
  return [
    `${of('date')}, seed ${of('seed')}, lease ${of('leaseMs')} ms, ${of('server')}, Node ${of('node')}, ${of('machine')}.`,
    tableOf(told.map(({ report }) => report)),
    ...(missing.length > 0 ? [`Missing, so nothing is known of them: ${missing.join(', ')}.`] : []),
    ...(findings.length > 0 ? ['What was found:', findings.join('\n')] : ['Nothing was found.']),
    ...(figures.length > 0 ? ['Further figures:', figures.join('\n')] : []),
  ].join('\n\n')
}

function resultsIn(file: string, content: unknown): Results {
  const results = content as Partial<Results> | null
  if (!Array.isArray(results?.faults)) throw new Error(`${file} holds no results of faults`)
  if (results.isLong !== true) {
    throw new Error(`${file} holds results of the short form: what is published is the long one (--long)`)
  }
  // Files of before told neither what broke a fault off nor its unit.
  const faults = (results as Results).faults.map((report) => ({
    ...report,
    error: report.error ?? null,
    unit: unitOf(report.fault),
  }))
  return { ...(results as Results), faults }
}

function named({ report }: Told, suffix: string): FaultReport {
  return { ...report, title: `${report.title}${suffix}` }
}
