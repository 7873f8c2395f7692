import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Target } from './database/connection-settings.ts'
import { maskPassword } from './database/settings.ts'
import { MigrationFailedError, messageOf } from './errors.ts'

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
  const child = spawn(command.command, command.args ?? [], {
    cwd: command.cwd,
    env: { ...process.env, ...command.env, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  const tail: string[] = []
  const thrown: unknown[] = []
  const read = (stream: NodeJS.ReadableStream) => {
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
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (...end) => resolve(end))
  })
  if (thrown.length > 0) throw thrown[0]
  if (code === 0) return
  const how = signal === null ? `exit code ${code}` : `${signal}, after at most ${timeoutMs} ms`
  throw new Error([`it ended with ${how}`, ...tail].join('\n  | '))
}
