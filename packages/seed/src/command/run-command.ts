import { type ConnectionFailedError, type InvalidOptionError, messageOf, SeedError } from '../errors.ts'
import { describeProgress, type Progress } from '../progress.ts'
import { describeReport } from '../report.ts'
import { resetAndSeed } from '../reset-and-seed.ts'
import { applyOverrides, readArguments, USAGE } from './arguments.ts'
import { loadConfig } from './config.ts'

/**
 * 0 done; 1 the migrations, the plan or the seeding failed; 2 refused, misused or not connected, and nothing was changed.
 */
export type ExitCode = 0 | 1 | 2

export interface CommandIo {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The report. */
  readonly out: (text: string) => void
  /** Progress and errors. */
  readonly err: (text: string) => void
}

/** Nothing was changed: something has to be said or set up otherwise. */
const REFUSED: readonly string[] = [
  'invalid_option' satisfies InvalidOptionError['code'],
  'connection_failed' satisfies ConnectionFailedError['code'],
  'reset_refused',
  'reset_blocked',
  'reset_in_progress',
]

export async function runCommand(
  args: readonly string[],
  { environment, out, err }: CommandIo,
): Promise<ExitCode> {
  try {
    const { help, quiet, config, overrides } = readArguments(args)
    if (help) {
      out(USAGE)
      return 0
    }
    const options = applyOverrides(await loadConfig(config), overrides, environment)
    const report = await resetAndSeed({ ...options, onProgress: quiet ? undefined : progressLines(err) })
    out(`${describeReport(report)}\n`)
    // Before the migrations of `recreate` a problem may be one that they solve.
    return report.problems.length > 0 && report.checkedAgainst !== 'present catalog' ? 1 : 0
  } catch (error) {
    const code = error instanceof SeedError ? error.code : 'failed'
    err(`opsledger-seed: ${messageOf(error)} [${code}]\n`)
    return REFUSED.includes(code) ? 2 : 1
  }
}

/** A line per step, and per table one for each tenth of its rows. */
function progressLines(err: (text: string) => void): (event: Progress) => void {
  let last = ''
  return (event) => {
    if (event.phase === 'seed') {
      const tenth = `${event.table} ${Math.floor((event.rows * 10) / Math.max(event.ofRows, 1))}`
      if (tenth === last) return
      last = tenth
    }
    err(`${describeProgress(event)}\n`)
  }
}
