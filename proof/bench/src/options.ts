import { parseArgs } from 'node:util'

export interface Options {
  /** A minute in all, for health: its figures say nothing about speed. */
  readonly isQuick: boolean
  /** Names of suites and of cases; null for all of both. */
  readonly only: readonly string[] | null
  /** Interleaved runs of each trial. */
  readonly repeats: number
  /** How long each trial is measured, after its warm-up. */
  readonly seconds: number
  /** Of the suites that compare concurrencies. */
  readonly concurrency: readonly number[]
  /** Rows of the grown ledger; a fifth as many cooldown rows. */
  readonly growthRuns: number
  /** Executions that wait at once in the memory suite. */
  readonly waiting: number
  readonly json: string | null
  readonly url: string | null
  readonly redisUrl: string | null
  /** Write the results into docs/. */
  readonly publish: boolean
  readonly help: boolean
}

/** What the person at the terminal asked for cannot be. */
export class UsageError extends Error {}

export const USAGE = `pnpm bench [options]

  --quick             a minute in all, few repetitions: shows that everything runs, says nothing about speed
  --only a,b          only these suites and these cases
  --repeats N         interleaved runs of each trial (default 5; quick 1)
  --seconds N         how long each trial is measured (default 3; quick 0.3)
  --concurrency a,b   deliveries at once (default 1,32,256,1000; quick 1,32)
  --growth-runs N     rows of the grown ledger (default 10000000; quick: not run unless named)
  --waiting N         executions that wait at once in the memory suite (default 100000; quick 2000)
  --json FILE         writes the results there
  --url URL           your own Postgres instead of an embedded one (default: OPSLEDGER_DATABASE_URL)
  --publish           writes the results into docs/benchmarks.md and docs/benchmarks/

  Cases that need Redis run where OPSLEDGER_REDIS_URL names one.
`

const FULL = {
  repeats: 5,
  seconds: 3,
  concurrency: [1, 32, 256, 1000],
  growthRuns: 10_000_000,
  waiting: 100_000,
}
const QUICK = { repeats: 1, seconds: 0.3, concurrency: [1, 32], growthRuns: 20_000, waiting: 2_000 }

/** @throws UsageError with one line for the person at the terminal */
export function readOptions(
  args: readonly string[],
  names: { readonly suites: readonly string[]; readonly cases: readonly string[] },
  env: NodeJS.ProcessEnv = process.env,
): Options {
  const values = parse(args)
  const defaults = values.quick ? QUICK : FULL
  const only = values.only === undefined ? null : listOf('only', values.only)
  const unknown = (only ?? []).filter((name) => !names.suites.includes(name) && !names.cases.includes(name))
  if (unknown.length > 0) {
    const allowed = `suites ${names.suites.join(', ')}; cases ${names.cases.join(', ')}`
    throw new UsageError(`--only names ${unknown.join(', ')}; allowed: ${allowed}`)
  }
  const shortened = (['quick', 'only', 'repeats', 'seconds', 'concurrency'] as const).filter(
    (name) => values[name] !== undefined && values[name] !== false,
  )
  if (values.publish && shortened.length > 0) {
    throw new UsageError(
      `--publish with --${shortened[0]}: what is published is the whole, with its defaults`,
    )
  }
  return {
    isQuick: values.quick,
    only,
    repeats: wholeNumber('repeats', values.repeats, defaults.repeats, 1_000),
    seconds: seconds(values.seconds, defaults.seconds),
    concurrency:
      values.concurrency === undefined
        ? defaults.concurrency
        : listOf('concurrency', values.concurrency).map((text) =>
            wholeNumber('concurrency', text, 0, 10_000),
          ),
    growthRuns: wholeNumber('growth-runs', values['growth-runs'], defaults.growthRuns, 1_000_000_000),
    waiting: wholeNumber('waiting', values.waiting, defaults.waiting, 10_000_000),
    json: values.json ?? null,
    url: values.url ?? (env.OPSLEDGER_DATABASE_URL || null),
    redisUrl: env.OPSLEDGER_REDIS_URL || null,
    publish: values.publish,
    help: values.help,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: args.filter((arg) => arg !== '--'),
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        repeats: { type: 'string' },
        seconds: { type: 'string' },
        concurrency: { type: 'string' },
        'growth-runs': { type: 'string' },
        waiting: { type: 'string' },
        json: { type: 'string' },
        url: { type: 'string' },
        publish: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n', 1)[0]!)
  }
}

function listOf(option: string, text: string): string[] {
  const parts = text.split(',').filter((part) => part !== '')
  if (parts.length === 0) throw new UsageError(`--${option} is empty; allowed: a list with commas`)
  return parts
}

function wholeNumber(option: string, text: string | undefined, fallback: number, most: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new UsageError(`--${option} is ${text}; allowed: a whole number from 1 to ${most}`)
  }
  return value
}

function seconds(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const value = Number(text)
  if (!(value >= 0.05 && value <= 600)) {
    throw new UsageError(`--seconds is ${text}; allowed: a number from 0.05 to 600`)
  }
  return value
}
