import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { chartsOf } from './report/charts.ts'
import { markdownOf } from './report/markdown.ts'
import type { Results } from './results.ts'

const PAGE = new URL('../../../docs/benchmarks.md', import.meta.url)
const FOLDER = new URL('../../../docs/benchmarks/', import.meta.url)
const [BEGIN, END] = ['<!-- results -->', '<!-- /results -->']

/** Writes the results between the marks of docs/benchmarks.md, and the charts and the figures beside it. */
export function publish(results: Results): void {
  const page = readFileSync(PAGE, 'utf8')
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from === -1 || to < from) throw new Error(`docs/benchmarks.md holds no ${BEGIN} … ${END}`)
  const charts = chartsOf(results.trials)
  mkdirSync(FOLDER, { recursive: true })
  for (const { file, svg } of charts) writeFileSync(new URL(file, FOLDER), svg)
  writeFileSync(new URL('results.json', FOLDER), `${JSON.stringify(results, null, 2)}\n`)
  const text = markdownOf(results, charts)
  writeFileSync(PAGE, `${page.slice(0, from + BEGIN.length)}\n\n${text}\n\n${page.slice(to)}`)
}
