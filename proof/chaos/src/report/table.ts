import { GUARANTEES } from '../oracle/judge.ts'
import { type FaultReport, isClean } from './report.ts'

/** The reports as a Markdown table: for the terminal and for the docs. */
export function tableOf(reports: readonly FaultReport[]): string {
  const head = [
    'fault',
    'N',
    'sections',
    'violations',
    're-admitted after (median / p99 / max)',
    '95 % bound (3/N)',
    'time',
  ]
  const rows = reports.map((report) => {
    if (report.skipped !== null) return [report.title, `skipped: ${report.skipped}`, '', '', '', '', '']
    if (report.error !== null) return [report.title, 'broke off', '', '', '', '', '']
    const { readmissionMs: wait, bound95, violations } = report
    const broken = GUARANTEES.filter((name) => violations[name] > 0).map(
      (name) => `${name}: ${violations[name]}`,
    )
    if (report.complaints > 0) broken.push(`other: ${report.complaints}`)
    return [
      report.title,
      `${count(report.injections)} ${report.unit}`,
      count(report.sections),
      broken.length === 0 ? '0' : broken.join(', '),
      wait === null ? '–' : `${count(wait.median)} / ${count(wait.p99)} / ${count(wait.max)} ms`,
      // Older results have one beside violations too, where it says nothing.
      bound95 === null || !isClean(report) ? '–' : `${(100 * bound95).toPrecision(2)} %`,
      `${Math.round(report.seconds)} s`,
    ]
  })
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, n) => cell.padEnd(widths[n]!)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

const count = (value: number) => value.toLocaleString('en-GB')
