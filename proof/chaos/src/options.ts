import { parseArgs } from 'node:util'
import { assertCommandOptions, wrongOption } from '../../../tools/lib/command-options.ts'
import { faults } from './faults/index.ts'
import { mutants } from './mutants/mutants.ts'

export interface Options {
  readonly seed: number
  readonly isLong: boolean
  readonly only: readonly string[] | null
  readonly json: string | null
  readonly url: string | null
  /** Run the mutants instead of the library; `only` then names mutants. */
  readonly mutants: boolean
  /** What was skipped counts as failed. */
  readonly isStrict: boolean
  readonly help: boolean
}

export const USAGE = `pnpm chaos [options]

  --seed N        chooses the faults; the same seed chooses the same ones (default: a new one, printed)
  --long          as many injections as docs/faults.md shows, instead of the short form
  --only a,b      only these faults; with --mutants only these mutants, by their own names
  --json FILE     writes the results there, after each fault (with --mutants: after each mutant); until the first one
                  is there, what the file held stays
  --url URL       your own Postgres instead of an embedded one; faults that restart it or fill its disk are skipped
  --mutants       breaks the library on purpose, one rule at a time, and shows that each break is caught
  --strict        what is skipped counts as failed
  --help          this

Ends with 0 when nothing failed (with --strict: nothing was skipped either), 1 when something did, 2 for a wrong option,
129, 130 or 143 when it was interrupted (SIGHUP, SIGINT, SIGTERM).

Faults, for --only: ${faults.map(({ name }) => name).join(', ')}

Mutants, for --mutants --only: ${mutants.map(({ name }) => name).join(', ')}
`

const OPTIONS = {
  seed: { type: 'string', allowed: 'a whole number, 0 or greater' },
  long: { type: 'boolean' },
  only: { type: 'string', allowed: 'names that --help lists, with commas between them' },
  json: { type: 'string', allowed: 'a file that can be written' },
  url: { type: 'string', allowed: 'postgres://…' },
  mutants: { type: 'boolean' },
  strict: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

/** @throws CommandOptionError */
export function readOptions(given: readonly string[]): Options {
  const args = given.filter((arg) => arg !== '--')
  assertCommandOptions(args, OPTIONS)
  const { values } = parseArgs({ args, options: OPTIONS })
  const { seed, only, json, url, mutants: isMutants = false } = values
  return {
    seed: seed === undefined ? Date.now() % 1_000_000 : seedFrom(seed),
    isLong: values.long ?? false,
    only: only === undefined ? null : namesFrom(only, isMutants ? mutants : faults),
    json: json ?? null,
    url: url === undefined ? null : urlFrom(url),
    mutants: isMutants,
    isStrict: values.strict ?? false,
    help: values.help ?? false,
  }
}

function seedFrom(text: string): number {
  const seed = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(seed))
    throw wrongOption('--seed', text, OPTIONS.seed.allowed)
  return seed
}

function namesFrom(text: string, known: readonly { readonly name: string }[]): string[] {
  const names = text.split(',').map((name) => name.trim())
  for (const name of names) {
    if (known.some((one) => one.name === name)) continue
    throw wrongOption('--only', name, known.map((one) => one.name).join(', '))
  }
  return names
}

/** It may hold a password, so what is wrong with it is said without it. */
function urlFrom(text: string): string {
  if (!/^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? ''))
    throw wrongOption('--url', '…', OPTIONS.url.allowed)
  return text
}
