import { CommandOptionError } from '../../../tools/lib/command-options.ts'
import { CASES } from './cases/index.ts'
import type { Options } from './options.ts'
import { QUEUES } from './queues/index.ts'
import { QUEUE_GUARDS } from './queues/queue.ts'
import type { Trial } from './trial.ts'

/** A question, and the trials that answer it. */
export interface Suite {
  readonly name: string
  readonly title: string
  /** Settings of the server beside the defaults; such a suite runs on an embedded server of its own. */
  readonly settings?: Readonly<Record<string, string>>
  /** Not part of `--quick` unless it is named. */
  readonly isLong?: boolean
  /** How often each trial runs, where it is not `--repeats`. */
  readonly repeats?: number
  trials(options: Options): Trial[]
}

const ALL = CASES.map(({ name }) => name)
const OWN = ['opsledger', 'opsledger-lease', 'opsledger-kysely'] as const
/** Those that refuse a duplicate, or give it the answer of the first. */
const DEDUPING = ['hand-rolled', 'hand-rolled-tuned', 'dbos', ...OWN] as const

const MINUTE_MS = 60_000

/** The disk waits this long before each flush, as a cloud volume does; in microseconds. */
const COMMIT_DELAY = '2000'

const trialOf = (
  { isQuick, seconds }: Options,
  trial: Pick<Trial, 'suite' | 'case' | 'setting'> & Partial<Trial>,
): Trial => ({
  concurrency: 1,
  warmUpMs: isQuick ? 100 : 1_500,
  measureMs: seconds * 1_000,
  withinMs: isQuick ? MINUTE_MS : 10 * MINUTE_MS,
  size: 0,
  ...trial,
})

/** The quick form compares concurrencies in one suite only, and slow commits of what is this project's own. */
const perConcurrency =
  (suite: string, rest: (options: Options) => Partial<Trial> = () => ({})) =>
  (options: Options) => {
    const { isQuick, concurrency: all } = options
    const cases = isQuick && suite === 'slow-commits' ? ['floor', 'hand-rolled', 'bulk', ...OWN] : ALL
    return (isQuick && suite !== 'jobs' ? all.slice(-1) : all).flatMap((concurrency) =>
      cases.map((name) =>
        trialOf(options, { suite, case: name, setting: String(concurrency), concurrency, ...rest(options) }),
      ),
    )
  }

/** In the order in which they run and are reported. */
export const SUITES: readonly Suite[] = [
  {
    name: 'jobs',
    title: 'Unique jobs with handlers that do nothing',
    trials: perConcurrency('jobs'),
  },
  {
    name: 'statements',
    title: 'Statements and round trips, counted on the wire',
    repeats: 1,
    trials: perConcurrency('statements', ({ isQuick }) => ({ size: isQuick ? 256 : 1_024 })),
  },
  {
    name: 'one-identity',
    title: 'Duplicates: 32 deliveries of one identity at once',
    trials: (options) =>
      DEDUPING.map((name) =>
        trialOf(options, { suite: 'one-identity', case: name, setting: '32', concurrency: 32 }),
      ),
  },
  {
    name: 'mostly-duplicates',
    title: 'Duplicates: 90 % of the deliveries, over 1,000 identities',
    trials: (options) =>
      (options.isQuick ? [32] : [32, 256]).flatMap((concurrency) =>
        DEDUPING.map((name) =>
          trialOf(options, {
            suite: 'mostly-duplicates',
            case: name,
            setting: String(concurrency),
            concurrency,
            size: options.isQuick ? 100 : 1_000,
          }),
        ),
      ),
  },
  {
    name: 'queues',
    title: 'Queues with handlers of 10 ms, 32 at once',
    trials: (options) =>
      QUEUES.flatMap(({ name }) =>
        QUEUE_GUARDS.map((guard) =>
          trialOf(options, { suite: 'queues', case: name, setting: guard, concurrency: 32 }),
        ),
      ),
  },
  {
    name: 'slow-commits',
    title: `Unique jobs where a commit is slow (commit_delay = ${COMMIT_DELAY}, commit_siblings = 0)`,
    settings: { commit_delay: COMMIT_DELAY, commit_siblings: '0' },
    repeats: 3,
    trials: perConcurrency('slow-commits'),
  },
  {
    name: 'growth',
    title: 'A grown ledger',
    isLong: true,
    repeats: 1,
    trials: (options) => [
      trialOf(options, {
        suite: 'growth',
        case: 'opsledger',
        setting: `${options.growthRuns} runs`,
        concurrency: 32,
        withinMs: 180 * MINUTE_MS,
        size: options.growthRuns,
      }),
    ],
  },
  {
    name: 'memory',
    title: 'Executions that wait at once',
    repeats: 3,
    trials: (options) =>
      OWN.map((name) =>
        trialOf(options, {
          suite: 'memory',
          case: name,
          setting: String(options.waiting),
          concurrency: options.waiting,
          size: options.waiting,
        }),
      ),
  },
  {
    name: 'fairness',
    title: 'A lone job beside a slow batch',
    trials: (options) =>
      OWN.map((name) => trialOf(options, { suite: 'fairness', case: name, setting: 'beside 256' })),
  },
]

/** Names that `--only` may use for cases: those of queues too. */
export const CASE_NAMES: readonly string[] = [...ALL, ...QUEUES.map(({ name }) => name)]

export const titleOf = (name: string): string =>
  [...CASES, ...QUEUES].find((one) => one.name === name)?.title ?? name

export const needsRedis = (name: string): boolean =>
  [...CASES, ...QUEUES].find((one) => one.name === name)?.needsRedis ?? false

/**
 * The suites and trials that `--only` leaves. A case that is named alone runs in every suite that has it.
 * @throws CommandOptionError when that is none
 */
export function chosen(options: Options): { suite: Suite; trials: Trial[] }[] {
  const { only, isQuick } = options
  const suites = SUITES.filter(({ name }) => only?.includes(name) ?? true)
  const asked = suites.length > 0 && only !== null
  const selected = (suites.length > 0 ? suites : SUITES)
    .filter(({ isLong }) => !(isLong && isQuick && !asked))
    .map((suite) => {
      const trials = suite.trials(options)
      const cases = only?.filter((name) => !SUITES.some((one) => one.name === name)) ?? []
      return { suite, trials: cases.length === 0 ? trials : trials.filter((one) => cases.includes(one.case)) }
    })
    .filter(({ trials }) => trials.length > 0)
  if (selected.length === 0) {
    throw new CommandOptionError(`--only selects nothing: no suite of ${only?.join(', ')} has such a case`)
  }
  return selected
}
