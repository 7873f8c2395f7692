import { SUITES, titleOf } from '../plan.ts'
import type { Results, TrialResult } from '../results.ts'
import { FIGURES, shortNumber } from './figures.ts'
import { type Goal, goalsOf, NO_GOAL } from './goals.ts'

/** The library's own cases: its exclusion modes, and the one that a host's Kysely can have. */
const OWN = [
  ['opsledger', 'session mode'],
  ['opsledger-lease', 'lease mode'],
  ['opsledger-kysely', "host's Kysely (lease mode)"],
] as const

/** Where and how it was measured. */
export const factsLine = (facts: Results['facts']): string => `${Object.values(facts).join('; ')}.`

/** The results as they stand in the docs, from the facts to the last table. */
export function markdownOf(results: Results, charts: readonly { file: string; title: string }[]): string {
  const { date, facts, trials, skipped } = results
  const failures = trials.filter(({ failure }) => failure !== null)
  const suites = SUITES.flatMap(({ name, title }) => {
    const own = trials.filter(({ suite }) => suite === name)
    return own.length === 0 ? [] : [`### ${title}`, suiteTable(own)]
  })
  return [
    [
      `${date}: ${factsLine(facts)}`,
      `Medians of up to ${results.options.repeats} interleaved runs of ${results.options.seconds} s, least–most in brackets.`,
    ].join('\n'),
    ...charts.map(({ file, title }) => `![${title}](benchmarks/${file})`),
    '### Goals',
    goalsTable(trials),
    ...suites,
    ...(failures.length === 0 ? [] : ['### What failed', failures.map(failureLine).join('\n')]),
    ...(skipped.length === 0 ? [] : ['### What was skipped', skipped.map((line) => `- ${line}`).join('\n')]),
  ].join('\n\n')
}

const failureLine = ({ suite, case: name, setting, failure }: TrialResult) =>
  `- ${suite}, ${name}, ${setting}: ${failure}`

/** A row per goal, a column per way to use the library; empty when nothing of the library was measured. */
export function goalsTable(trials: readonly TrialResult[]): string {
  const columns = OWN.filter(([name]) => trials.some((one) => one.case === name)).map(([name, title]) => ({
    title,
    goals: goalsOf(trials, name),
  }))
  const measures = columns[0]?.goals ?? []
  const cellOf = (goals: readonly Goal[], measure: string) => {
    const goal = goals.find((one) => one.measure === measure)
    if (goal === undefined || goal.reached === null) return '–'
    if (goal.goal === NO_GOAL) return shortNumber(goal.reached)
    return `${shortNumber(goal.reached)} ${goal.isMet(goal.reached) ? 'met' : '**not met**'}`
  }
  const rows = measures
    .filter(({ measure }) => columns.some(({ goals }) => cellOf(goals, measure) !== '–'))
    .map(({ measure, goal }) => [measure, goal, ...columns.map(({ goals }) => cellOf(goals, measure))])
  return table(['measure', 'goal', ...columns.map(({ title }) => title)], rows)
}

/** A row per case and setting, a column per figure; jobs/s also against the floor of the same setting. */
export function suiteTable(trials: readonly TrialResult[]): string {
  const figures = Object.keys(FIGURES).filter((name) => trials.some((one) => name in one.figures))
  const floorOf = (setting: string) =>
    trials.find((one) => one.case === 'floor' && one.setting === setting)?.figures.jobsPerSecond?.median
  const hasFloor = trials.some(({ setting }) => floorOf(setting) !== undefined)
  const rows = trials.map((trial) => {
    if (trial.failure !== null) return [titleOf(trial.case), `${trial.setting}: failed`]
    const head = [titleOf(trial.case), trial.setting]
    const cells = figures.map((name) => {
      const summary = trial.figures[name]
      if (summary === undefined) return '–'
      const spread = `${shortNumber(summary.least)}–${shortNumber(summary.most)}`
      return summary.runs > 1 && /PerSecond$|^p\d\dMs$/.test(name)
        ? `${shortNumber(summary.median)} (${spread})`
        : shortNumber(summary.median)
    })
    const floor = floorOf(trial.setting)
    const rate = trial.figures.jobsPerSecond?.median
    const toFloor = floor === undefined || rate === undefined ? '–' : `${shortNumber(rate / floor)} ×`
    return hasFloor ? [...head, cells[0]!, toFloor, ...cells.slice(1)] : [...head, ...cells]
  })
  const titles = figures.map((name) => FIGURES[name]!.title)
  const columns = hasFloor ? [titles[0]!, 'of the floor', ...titles.slice(1)] : titles
  return table(['case', 'setting', ...columns], rows)
}

/** With cells padded to the width of their column, as the formatter leaves it. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, n) => (cells[n] ?? '').padEnd(width)).join(' | ')} |`
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}
