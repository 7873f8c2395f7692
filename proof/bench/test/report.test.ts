import { expect, test } from 'vitest'
import { chartsOf } from '../src/report/charts.ts'
import { goalsOf } from '../src/report/goals.ts'
import { goalsTable, suiteTable } from '../src/report/markdown.ts'
import { barChart } from '../src/report/svg.ts'
import { Gathering, type TrialResult } from '../src/results.ts'
import { summarize } from '../src/statistics.ts'
import type { Trial } from '../src/trial.ts'

const result = (
  suite: string,
  name: string,
  setting: string,
  figures: Record<string, number[]>,
): TrialResult => ({
  suite,
  case: name,
  setting,
  figures: Object.fromEntries(Object.entries(figures).map(([key, values]) => [key, summarize(values)])),
  failure: null,
})
const goalOf = (trials: TrialResult[], measure: string) => {
  const goal = goalsOf(trials, 'opsledger').find((one) => one.measure === measure)!
  return { ...goal, met: goal.reached === null ? null : goal.isMet(goal.reached) }
}

test('a goal is the ratio of two medians', () => {
  const trials = [
    result('jobs', 'floor', '32', { jobsPerSecond: [900, 1_000, 5_000] }),
    result('jobs', 'opsledger', '32', { jobsPerSecond: [1_999, 1, 9_999] }),
  ]
  const measure = 'jobs/s at 32, against the floor'
  expect(goalOf(trials, measure)).toMatchObject({ goal: '≥ 2 ×', reached: 1.999, met: false })
  trials[1] = result('jobs', 'opsledger', '32', { jobsPerSecond: [2_000] })
  expect(goalOf(trials, measure)).toMatchObject({ reached: 2, met: true })
})

test('a goal whose figures are not there says so, and is in no table', () => {
  const trials = [result('jobs', 'opsledger', '1', { p50Ms: [1], p99Ms: [1] })]
  expect(goalOf(trials, 'p50 at 1, against the floor')).toMatchObject({ reached: null, met: null })
  expect(goalsTable(trials)).not.toContain('against the floor')
})

test('what is free is met with nothing', () => {
  const trials = [result('statements', 'opsledger', '32', { roundTripsPerLocalDuplicate: [0] })]
  const measure = 'round trips of a duplicate of work that runs in the same process'
  expect(goalOf(trials, measure)).toMatchObject({ reached: 0, met: true })
})

test('the goals name the exclusion mode of each column', () => {
  const figures = { p50Ms: [1], p99Ms: [1] }
  const own = ['opsledger', 'opsledger-lease', 'opsledger-kysely']
  const [head] = goalsTable(own.map((name) => result('jobs', name, '32', figures))).split('\n')
  expect(head).toMatch(/\| session mode +\| lease mode +\| host's Kysely \(lease mode\) +\|$/)
})

test('what is only shown is neither met nor missed', () => {
  const table = goalsTable([
    result('jobs', 'bulk', '1000', { jobsPerSecond: [1_000] }),
    result('jobs', 'opsledger', '1000', { jobsPerSecond: [100] }),
  ])
  expect(table).toMatch(/four at a time\) \| – +\| 0\.1 +\|$/m)
})

test('a table has the median, its spread and the ratio to the floor of the same setting', () => {
  const table = suiteTable([
    result('jobs', 'floor', '1', { jobsPerSecond: [100] }),
    result('jobs', 'floor', '32', { jobsPerSecond: [1_000] }),
    result('jobs', 'opsledger', '32', { jobsPerSecond: [2_500, 2_400, 2_600] }),
  ])
  expect(table.split('\n').at(-1)).toMatch(
    /^\| OpsLedger, session mode +\| 32 +\| 2,500 \(2,400–2,600\) +\| 2.5 × +\|$/,
  )
})

test('a trial that failed once has no figures, and its first failure', () => {
  const trial = { suite: 'jobs', case: 'floor', setting: '1' } as Trial
  const gathering = new Gathering()
  gathering.add(trial, { jobsPerSecond: 1 })
  gathering.fail(trial, 'the first')
  gathering.fail(trial, 'the second')
  expect(gathering.hasFailed(trial)).toBe(true)
  expect(gathering.results()).toMatchObject([{ figures: {}, failure: 'the first' }])
  expect(suiteTable(gathering.results())).toContain('failed')
})

test('a chart is drawn of what was measured for two cases or more', () => {
  const floor = result('jobs', 'floor', '32', { jobsPerSecond: [1_000] })
  expect(chartsOf([floor])).toEqual([])
  const charts = chartsOf([floor, result('jobs', 'opsledger', '32', { jobsPerSecond: [2_000] })])
  expect(charts.map(({ file }) => file)).toEqual(['jobs-at-32.svg'])
  expect(charts[0]!.svg).toContain('OpsLedger, session mode')
})

test('the longest bar fills its room, and text is escaped', () => {
  const bar = { least: 1, most: 4, isOwn: false }
  const svg = barChart(
    'a < b',
    [
      { ...bar, label: '"x" & y', value: 4 },
      { ...bar, label: 'z', value: 2 },
    ],
    String,
  )
  expect(svg).toContain('a &lt; b')
  expect(svg).toContain('&quot;x&quot; &amp; y')
  expect([...svg.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(([, width]) => width)).toEqual([
    '300.0',
    '150.0',
  ])
})
