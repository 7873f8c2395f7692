import { parseArgs } from 'node:util'
import { assertCommandOptions, CommandOptionError, wrongOption } from '../../../tools/lib/command-options.ts'

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

export const USAGE = `pnpm bench [options]

  --quick             a minute in all, few repetitions: shows that everything runs, says nothing about speed
  --only a,b          only these suites and these cases
  --repeats N         interleaved runs of each trial (default 5; quick 1)
  --seconds N         how long each trial is measured (default 3; quick 0.3)
  --concurrency a,b   deliveries at once (default 1,32,256,1000; quick 1,32)
  --growth-runs N     rows of the grown ledger (default 10000000; quick: not run unless named)
  --waiting N         executions that wait at once in the memory suite (default 100000; quick 2000)
  --json FILE         writes the results there, at the end
  --url URL           your own Postgres (default: that of OPSLEDGER_DATABASE_URL; where neither names one, an embedded one)
  --publish           writes the results into docs/benchmarks.md and docs/benchmarks/
  --help              this

Cases that need Redis run where OPSLEDGER_REDIS_URL names one.

Ends with 0 when every case ran or was skipped, 1 when one failed, 2 for a wrong option, 129, 130 or 143 when it
was interrupted (SIGHUP, SIGINT, SIGTERM).
`

const OPTIONS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string', allowed: 'names of suites and cases, with commas between them' },
  repeats: { type: 'string', allowed: 'a whole number from 1 to 1000' },
  seconds: { type: 'string', allowed: 'a number from 0.05 to 600' },
  concurrency: { type: 'string', allowed: 'whole numbers from 1 to 10000, with commas between them' },
  'growth-runs': { type: 'string', allowed: 'a whole number from 1 to 1000000000' },
  waiting: { type: 'string', allowed: 'a whole number from 1 to 10000000' },
  json: { type: 'string', allowed: 'a file that can be written' },
  url: { type: 'string', allowed: 'postgres://…' },
  publish: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** What may not be published: the page tells of the whole, with its defaults. */
const CHANGING = ['quick', 'only', 'repeats', 'seconds', 'concurrency', 'growth-runs', 'waiting'] as const

const FULL = {
  repeats: 5,
  seconds: 3,
  concurrency: [1, 32, 256, 1000],
  growthRuns: 10_000_000,
  waiting: 100_000,
}
const QUICK = { repeats: 1, seconds: 0.3, concurrency: [1, 32], growthRuns: 20_000, waiting: 2_000 }

/** @throws CommandOptionError */
export function readOptions(
  given: readonly string[],
  names: { readonly suites: readonly string[]; readonly cases: readonly string[] },
  env: NodeJS.ProcessEnv = process.env,
): Options {
  const args = given.filter((arg) => arg !== '--')
  assertCommandOptions(args, OPTIONS)
  const { values } = parseArgs({ args, options: OPTIONS })
  const changed = CHANGING.filter((name) => values[name] !== undefined && values[name] !== false)
  if (values.publish && changed.length > 0) {
    throw new CommandOptionError(
      `--publish is given with --${changed[0]}; allowed: the whole alone, with its defaults`,
    )
  }
  const defaults = values.quick ? QUICK : FULL
  return {
    isQuick: values.quick,
    only: values.only === undefined ? null : namesFrom(values.only, names),
    repeats: wholeNumber('repeats', values.repeats, 1_000) ?? defaults.repeats,
    seconds: values.seconds === undefined ? defaults.seconds : secondsFrom(values.seconds),
    concurrency:
      values.concurrency?.split(',').map((text) => wholeNumber('concurrency', text, 10_000)!) ??
      defaults.concurrency,
    growthRuns: wholeNumber('growth-runs', values['growth-runs'], 1_000_000_000) ?? defaults.growthRuns,
    waiting: wholeNumber('waiting', values.waiting, 10_000_000) ?? defaults.waiting,
    json: values.json ?? null,
    url:
      urlFrom('--url', values.url) ??
      urlFrom('OPSLEDGER_DATABASE_URL', env.OPSLEDGER_DATABASE_URL || undefined),
    redisUrl: env.OPSLEDGER_REDIS_URL || null,
    publish: values.publish,
    help: values.help,
  }
}

function namesFrom(
  text: string,
  { suites, cases }: { readonly suites: readonly string[]; readonly cases: readonly string[] },
): string[] {
  const given = text.split(',').map((name) => name.trim())
  for (const name of given) {
    if (suites.includes(name) || cases.includes(name)) continue
    throw wrongOption('--only', name, `suites ${suites.join(', ')}; cases ${cases.join(', ')}`)
  }
  return given
}

function wholeNumber(
  option: 'repeats' | 'concurrency' | 'growth-runs' | 'waiting',
  text: string | undefined,
  most: number,
): number | null {
  if (text === undefined) return null
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1 || value > most) {
    throw wrongOption(`--${option}`, text, OPTIONS[option].allowed)
  }
  return value
}

function secondsFrom(text: string): number {
  const value = Number(text)
  if (!(value >= 0.05 && value <= 600)) throw wrongOption('--seconds', text, OPTIONS.seconds.allowed)
  return value
}

/** It may hold a password, so what is wrong with it is said without it. */
function urlFrom(source: string, text: string | undefined): string | null {
  if (text === undefined) return null
  if (!/^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? '')) {
    throw wrongOption(source, '…', OPTIONS.url.allowed)
  }
  return text
}
