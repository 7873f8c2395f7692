import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Target } from './database/connection-settings.ts'
import { maskPassword } from './database/settings.ts'
import { InvalidOptionError, MigrationFailedError, messageOf } from './errors.ts'
import { isFolder, whyNotStartable } from './find-program.ts'

/** The host's own migrations: a function, or a command that finds the URL in its `DATABASE_URL`. */
export type Migrate = MigrateFunction | MigrateCommand

/** Gets the place that was reset. It must be done, and have closed its connections, when it resolves. */
export type MigrateFunction = (database: MigrationTarget) => unknown

/** The place that was reset, as pg read it from the URL and the environment. */
export interface MigrationTarget extends Target {
  /** With the password, where there is one. */
  readonly url: string
}

/**
 * A program that is run once. Its output is reported line by line, without the password; any exit code but 0
 * ends the reset.
 */
export interface MigrateCommand {
  /** A program, found on the PATH; no shell reads it. */
  readonly command: string
  readonly args?: readonly string[]
  /** The working directory. @default this process's */
  readonly cwd?: string
  /** Added to this process's environment; `DATABASE_URL` is always that of the database that was reset. */
  readonly env?: Readonly<Record<string, string>>
  /**
   * After this it is killed, in ms. Longer than a large history of migrations takes, shorter than a CI job is
   * patient with one that hangs.
   * @default 600,000
   */
  readonly timeoutMs?: number
}

/** Longer than a large history of migrations takes, shorter than a CI job is patient with one that hangs. */
const DEFAULT_MIGRATION_TIMEOUT_MS = 10 * 60_000
/** The end of the output that an error quotes, in lines. */
const OUTPUT_TAIL = 40

export const describeMigrate = (migrate: Migrate): string =>
  typeof migrate === 'function'
    ? `the function ${migrate.name || 'migrate'}`
    : [migrate.command, ...(migrate.args ?? [])].join(' ')

/**
 * What would not start must not cost the schemas, so it is looked for before anything is dropped.
 *
 * @throws InvalidOptionError
 */
export async function assertStartable(migrate: Migrate): Promise<void> {
  if (typeof migrate === 'function') return
  const { command, cwd = process.cwd(), env } = migrate
  if (!(await isFolder(cwd))) {
    throw new InvalidOptionError(
      'migrate.cwd',
      cwd,
      'a folder that exists, for the migration command to run in',
    )
  }
  const why = await whyNotStartable(command, cwd, { ...process.env, ...env })
  if (why === null) return
  throw new InvalidOptionError(
    'migrate.command',
    command,
    `a program that can be started (${why}; no shell reads it, so arguments go into args). Nothing was changed`,
  )
}

/** The command did not start: there is nothing to correct in the migrations. */
class CommandNotStarted extends Error {}

/** @throws MigrationFailedError with the error of the function, or the end of the command's output */
export async function runMigrations(
  migrate: Migrate,
  target: MigrationTarget,
  onLine: (line: string) => void,
): Promise<void> {
  try {
    if (typeof migrate === 'function') await migrate(target)
    else await runCommand(migrate, target.url, onLine)
  } catch (error) {
    if (error instanceof CommandNotStarted) {
      throw new MigrationFailedError(
        `The migration command could not be started (${describeMigrate(migrate)}): ${error.message}\n` +
          'The schemas are recreated and empty, and no row was seeded. ' +
          'Correct `migrate` in the options, and run the reset again.',
        { cause: error.cause },
      )
    }
    throw new MigrationFailedError(
      `The migrations failed (${describeMigrate(migrate)}): ${maskPassword(messageOf(error), target.url)}\n` +
        'The schemas are recreated and hold what the migrations did until then; no row was seeded. ' +
        'Correct the migration and run the reset again.',
      { cause: error },
    )
  }
}

async function runCommand(
  command: MigrateCommand,
  url: string,
  onLine: (line: string) => void,
): Promise<void> {
  const timeoutMs = command.timeoutMs ?? DEFAULT_MIGRATION_TIMEOUT_MS
  const child = await start(command, url)
  const tail: string[] = []
  const thrown: unknown[] = []
  const read = (stream: Readable) => {
    createInterface({ input: stream }).on('line', (raw) => {
      const line = maskPassword(raw, url)
      tail.push(line)
      if (tail.length > OUTPUT_TAIL) tail.shift()
      try {
        onLine(line)
      } catch (error) {
        thrown.push(error) // in a listener it would take the process down
        child.kill('SIGKILL')
      }
    })
  }
  read(child.stdout)
  read(child.stderr)
  let isTimedOut = false
  // Not `timeout` of spawn: Node 22 leaves its timer behind where the program does not start.
  const timer = setTimeout(() => {
    isTimedOut = child.kill('SIGKILL') // false where it has ended, and only its output is still open
    // What the program itself has started may hold them open for as long as it likes.
    child.stdout.destroy()
    child.stderr.destroy()
  }, timeoutMs)
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (...end) => resolve(end))
  }).finally(() => clearTimeout(timer))
  if (thrown.length > 0) throw thrown[0]
  if (code === 0) return
  const how = isTimedOut
    ? `SIGKILL, after timeoutMs (${timeoutMs} ms)`
    : signal !== null
      ? `the signal ${signal}`
      : `exit code ${code}`
  throw new Error([`it ended with ${how}`, ...tail].join('\n  | '))
}

/** @throws CommandNotStarted */
async function start(
  { command, args = [], cwd, env }: MigrateCommand,
  url: string,
): Promise<ChildProcessByStdio<null, Readable, Readable>> {
  try {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env, DATABASE_URL: url },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (child.pid === undefined) await new Promise((_, reject) => child.on('error', reject))
    return child
  } catch (error) {
    throw new CommandNotStarted(messageOf(error), { cause: error })
  }
}
