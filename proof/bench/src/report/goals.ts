import { BULK_ROWS } from '../cases/bulk-rows.ts'
import type { TrialResult } from '../results.ts'

/** Beside a goal that can be read in two ways, the other reading is shown. */
export const NO_GOAL = '–'

/** What the library must reach, as a ratio of two figures of one run. */
export interface Goal {
  readonly measure: string
  readonly goal: string
  readonly isMet: (reached: number) => boolean
  /** Null when the figures that it needs were not measured. */
  readonly reached: number | null
}

type Read = (suite: string, name: string, setting: string | number, figure: string) => number | null

const atMost = (limit: number) => (reached: number) => reached <= limit
const atLeast = (limit: number) => (reached: number) => reached >= limit

/** The goals for one of the library's own cases, in the order of the issue that set them. */
export function goalsOf(trials: readonly TrialResult[], own: string): Goal[] {
  const read: Read = (suite, name, setting, figure) =>
    trials.find((one) => one.suite === suite && one.case === name && one.setting === String(setting))
      ?.figures[figure]?.median ?? null
  const ratio = (over: number | null, under: number | null) =>
    over === null || under === null || under === 0 ? null : over / under
  const jobs = (name: string, setting: number, figure: string) => read('jobs', name, setting, figure)
  const toFloor = (setting: number, figure: string) =>
    ratio(jobs(own, setting, figure), jobs('floor', setting, figure))

  const goals: Goal[] = []
  const add = (measure: string, goal: string, isMet: Goal['isMet'], reached: number | null) =>
    goals.push({ measure, goal, isMet, reached })

  add('p50 at 1, against the floor', '≤ 1.5 ×', atMost(1.5), toFloor(1, 'p50Ms'))
  for (const [name, title] of [
    ['redlock', 'Redlock'],
    ['powertools', 'Powertools'],
  ] as const) {
    add(
      `p50 at 1, against ${title} + ledger`,
      '< 1 ×',
      (reached) => reached < 1,
      ratio(jobs(own, 1, 'p50Ms'), jobs(name, 1, 'p50Ms')),
    )
  }
  add('jobs/s at 32, against the floor', '≥ 2 ×', atLeast(2), toFloor(32, 'jobsPerSecond'))
  add(
    'jobs/s at 32, against Redlock + ledger',
    '≥ 2.5 ×',
    atLeast(2.5),
    ratio(jobs(own, 32, 'jobsPerSecond'), jobs('redlock', 32, 'jobsPerSecond')),
  )
  add('jobs/s at 256, against the floor', '≥ 3.5 ×', atLeast(3.5), toFloor(256, 'jobsPerSecond'))
  const toBulk = (setting: number) =>
    ratio(jobs(own, 1_000, 'jobsPerSecond'), jobs('bulk', setting, 'jobsPerSecond'))
  const limit = `the bulk limit (${BULK_ROWS} rows a statement`
  add(`jobs/s at 1,000, against ${limit}, one at a time)`, '≥ 0.7 ×', atLeast(0.7), toBulk(256))
  add(`jobs/s at 1,000, against ${limit}, four at a time)`, NO_GOAL, () => true, toBulk(1_000))
  const deliveries = (suite: string, setting: number) =>
    ratio(
      read(suite, own, setting, 'deliveriesPerSecond'),
      read(suite, 'hand-rolled', setting, 'deliveriesPerSecond'),
    )
  add(
    '32 deliveries of one identity, against hand-rolled',
    '≥ 6 ×',
    atLeast(6),
    deliveries('one-identity', 32),
  )
  for (const concurrency of [32, 256]) {
    const measure = `90 % duplicates at ${concurrency}, against hand-rolled`
    add(measure, '≥ 6 ×', atLeast(6), deliveries('mostly-duplicates', concurrency))
  }
  add(
    'round trips of a duplicate of work that runs in the same process',
    '0',
    atMost(0),
    read('statements', own, 32, 'roundTripsPerLocalDuplicate'),
  )
  for (const concurrency of [32, 256, 1_000]) {
    const measure = `Node CPU per job at ${concurrency}, against the floor`
    add(measure, '≤ 1 ×', atMost(1), toFloor(concurrency, 'cpuMsPerJob'))
  }
  for (const concurrency of [1, 32, 256]) {
    const measure = `WAL bytes per job at ${concurrency}, against the floor`
    add(measure, '≤ 1.4 ×', atMost(1.4), toFloor(concurrency, 'walBytesPerJob'))
  }
  if (own === 'opsledger') {
    for (const [queue, title] of [
      ['bullmq', 'BullMQ'],
      ['pg-boss', 'pg-boss'],
      ['graphile-worker', 'graphile-worker'],
    ] as const) {
      const toAlone = (figure: string) =>
        ratio(read('queues', queue, 'opsledger', figure), read('queues', queue, 'alone', figure))
      add(`${title}: jobs/s, against the queue alone`, '≥ 0.92 ×', atLeast(0.92), toAlone('jobsPerSecond'))
      add(`${title}: p99, against the queue alone`, '≤ 1.5 ×', atMost(1.5), toAlone('p99Ms'))
    }
    const growth = trials.find(({ suite }) => suite === 'growth')
    const grown = (figure: string) => growth?.figures[figure]?.median ?? null
    const size = growth === undefined ? '' : ` (${growth.setting})`
    add(
      `grown ledger${size}: jobs/s, against an empty one`,
      '≥ 0.9 ×',
      atLeast(0.9),
      ratio(grown('grownJobsPerSecond'), grown('emptyJobsPerSecond')),
    )
    add(
      "grown ledger: p99 of a tenant's list page, against a read by id",
      '< 10 ×',
      (reached) => reached < 10,
      ratio(grown('listP99Ms'), grown('getP99Ms')),
    )
    add(
      'grown ledger: jobs/s while a tenth is pruned, against before',
      '≥ 0.9 ×',
      atLeast(0.9),
      ratio(grown('pruningJobsPerSecond'), grown('grownJobsPerSecond')),
    )
  }
  for (const concurrency of [32, 256]) {
    add(
      `p99 at ${concurrency}, against p50`,
      '≤ 3 ×',
      atMost(3),
      ratio(jobs(own, concurrency, 'p99Ms'), jobs(own, concurrency, 'p50Ms')),
    )
  }
  add(
    'a lone job beside a slow batch: its worst time, against that of the batch',
    // A tenth for the clock: it ends with the batch at the latest.
    '≤ 1.1 ×',
    atMost(1.1),
    read('fairness', own, 'beside 256', 'worstDelayInBatches'),
  )
  const memory = trials.find(({ suite, case: name }) => suite === 'memory' && name === own)
  const isDone = memory === undefined ? null : Number(memory.failure === null)
  add(`${memory?.setting ?? '100000'} executions that wait at once: complete`, '1', atLeast(1), isDone)
  return goals
}
