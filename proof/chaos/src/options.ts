import { parseArgs } from 'node:util'

export interface Options {
  readonly seed: number
  readonly isLong: boolean
  readonly only: readonly string[] | null
  readonly json: string | null
  readonly url: string | null
  /** Run the mutants instead of the library; `only` then names mutants. */
  readonly mutants: boolean
  readonly help: boolean
}

export const USAGE = `pnpm chaos [options]

  --seed N        chooses the faults; the same seed chooses the same ones (default: a new one, printed)
  --long          as many injections as docs/faults.md shows, instead of the short form
  --only a,b      only these faults (with --mutants: only these mutants)
  --json FILE     writes the results there
  --url URL       your own Postgres instead of an embedded one; faults that restart it or fill its disk are skipped
  --mutants       breaks the library on purpose, one rule at a time, and shows that each break is caught
`

/** @throws Error with a message for the person at the terminal */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--'),
    options: {
      seed: { type: 'string' },
      long: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      url: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed)
  if (!Number.isInteger(seed) || seed < 0)
    throw new Error(`--seed is ${values.seed}; allowed: a whole number`)
  return {
    seed,
    isLong: values.long,
    only: values.only?.split(',').filter((name) => name !== '') ?? null,
    json: values.json ?? null,
    url: values.url ?? null,
    mutants: values.mutants,
    help: values.help,
  }
}
