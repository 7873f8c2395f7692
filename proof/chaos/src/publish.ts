import { readFileSync, writeFileSync } from 'node:fs'
import { faults } from './faults/index.ts'
import type { FaultReport } from './report/report.ts'
import { tableOf } from './report/table.ts'

/**
 * Writes the results of `pnpm chaos --long --json FILE` into docs/faults.md. Several files, where the faults were run in
 * more than one go, become one table; of a fault that was run twice the later file counts.
 */
interface Result {
  readonly seed: number
  readonly date: string
  readonly server: string
  readonly node: string
  readonly machine: string
  readonly leaseMs: number
  readonly isLong: boolean
  readonly faults: readonly FaultReport[]
}

const PAGE = new URL('../../../docs/faults.md', import.meta.url)
const [BEGIN, END] = ['<!-- results -->', '<!-- /results -->']

const results = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')) as Result)
if (results.length === 0) throw new Error('Name the files that `pnpm chaos --long --json FILE` wrote')
const byName = new Map(
  results.flatMap((result) => result.faults.map((fault) => [fault.fault, fault] as const)),
)
const reports = faults.flatMap(({ name }) => byName.get(name) ?? [])
const told = (key: 'seed' | 'date' | 'server' | 'node' | 'machine' | 'leaseMs') =>
  [...new Set(results.map((result) => result[key]))].join(', ')

const figures = reports.flatMap((report) =>
  Object.entries(report.figures).map(([name, value]) => `- ${report.title}: ${name}: ${value}`),
)
const findings = reports.flatMap((report) =>
  report.findings.map((finding) => `- ${report.title}: ${finding}`),
)
const text = [
  `${told('date')}, seed ${told('seed')}, lease ${told('leaseMs')} ms, ${told('server')}, Node ${told('node')}, ${told('machine')}.`,
  tableOf(reports),
  'Further figures:',
  figures.join('\n'),
  ...(findings.length > 0 ? ['What was found:', findings.join('\n')] : []),
].join('\n\n')

const page = readFileSync(PAGE, 'utf8')
const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
if (from === -1 || to < from) throw new Error(`docs/faults.md holds no ${BEGIN} … ${END}`)
writeFileSync(PAGE, `${page.slice(0, from + BEGIN.length)}\n\n${text}\n\n${page.slice(to)}`)
