import type { TrialResult } from '../results.ts'
import { shortNumber } from './figures.ts'
import { type Bar, barChart } from './svg.ts'

export interface Chart {
  readonly file: string
  readonly title: string
  readonly svg: string
}

/** What fits beside a bar; the tables have the whole titles. */
const LABELS: Readonly<Record<string, string>> = {
  floor: 'floor: insert + update, no dedupe',
  'hand-rolled': 'hand-rolled guard',
  'hand-rolled-tuned': 'hand-rolled guard, tuned',
  redlock: 'Redlock + ledger writes',
  powertools: 'Powertools on Redis + ledger writes',
  'advisory-lock': 'advisory-lock + ledger writes',
  dbos: 'DBOS workflow',
  bulk: 'bulk limit, no dedupe',
  opsledger: 'OpsLedger, session mode',
  'opsledger-lease': 'OpsLedger, lease mode',
  'opsledger-kysely': "OpsLedger on a host's Kysely",
}

const RATES = [1, 32, 256, 1_000].map((concurrency) => ({
  file: `jobs-at-${concurrency}.svg`,
  title: `Jobs per second at concurrency ${concurrency.toLocaleString('en-GB')}`,
  suite: 'jobs',
  setting: String(concurrency),
  figure: 'jobsPerSecond',
}))

const CHARTS = [
  ...RATES,
  {
    file: 'latency-at-1.svg',
    title: 'Milliseconds that a lone job takes (p50)',
    suite: 'jobs',
    setting: '1',
    figure: 'p50Ms',
  },
  {
    file: 'duplicates.svg',
    title: 'Deliveries per second, 90 % duplicates, concurrency 256',
    suite: 'mostly-duplicates',
    setting: '256',
    figure: 'deliveriesPerSecond',
  },
  {
    file: 'slow-commits-at-32.svg',
    title: 'Jobs per second at concurrency 32 where a commit is slow',
    suite: 'slow-commits',
    setting: '32',
    figure: 'jobsPerSecond',
  },
]

/** A chart of each figure that was measured for at least two cases. */
export function chartsOf(trials: readonly TrialResult[]): Chart[] {
  return CHARTS.flatMap(({ file, title, suite, setting, figure }) => {
    const bars: Bar[] = trials.flatMap((trial) => {
      const summary = trial.figures[figure]
      if (trial.suite !== suite || trial.setting !== setting || summary === undefined) return []
      const { median: value, least, most } = summary
      const isOwn = trial.case.startsWith('opsledger')
      return [{ label: LABELS[trial.case] ?? trial.case, value, least, most, isOwn }]
    })
    return bars.length < 2 ? [] : [{ file, title, svg: barChart(title, bars, shortNumber) }]
  })
}
