import type { ConnectionSettings } from './database/connection-settings.ts'
import { splitName } from './database/names.ts'
import { InvalidOptionError } from './errors.ts'
import { assertKnownOptions, namesOf } from './known-options.ts'
import type { Migrate, MigrateCommand } from './migrate.ts'
import { assertRequirements, type Requirements } from './plan/rules.ts'
import type { AnyTable } from './plan/table.ts'
import type { Progress } from './progress.ts'
import { type Allow, assertAllow } from './safety/allow.ts'
import { DEFAULT_LOCK_WAIT_MS } from './safety/lock.ts'
import { DEFAULT_BATCH_ROWS } from './write/write-rows.ts'

/** `connection`, `allow`, `schemas` and `tables` are needed, and `migrate` to recreate. */
export interface ResetAndSeedOptions {
  /** A URL or settings of pg.Client: the server itself, not a pooler, because locks live in the session. */
  readonly connection: string | ConnectionSettings
  /** What may be reset; see `Allow`. */
  readonly allow: Allow
  /** The schemas to reset. `public` is emptied and not dropped: it keeps its owner, grants and extensions. */
  readonly schemas: readonly string[]
  /** The host's own migrations. Needed for `recreate`; `truncate` does not run them. */
  readonly migrate?: Migrate
  /** The tables to seed, in any order. */
  readonly tables: readonly AnyTable[]
  /** What columns must hold beyond the catalog, on top of `DEFAULT_RULES`. */
  readonly require?: Requirements
  /** A whole number from which all random values follow: the same one, the same rows. @default 1 */
  readonly seed?: number
  /**
   * `recreate` starts from nothing and runs the migrations. `truncate` is the fast form: it empties the tables
   * that are there, and nobody sees them empty, because it is one transaction with the seeding.
   * @default 'recreate'
   */
  readonly mode?: 'recreate' | 'truncate'
  /**
   * Tables (`schema.table`) that `truncate` leaves as they are, beside those of migration tools; such as rows
   * that migrations wrote.
   * @default none
   */
  readonly keep?: readonly string[]
  /** Says what would be done and changes nothing: it reads in a read-only transaction. @default false */
  readonly dryRun?: boolean
  /**
   * Called at each step and after each batch. What it throws ends the reset, and the seeding is rolled back.
   */
  readonly onProgress?: (event: Progress) => void
  /**
   * How long another reset of this database is waited for, in ms, at most an hour. With 0 this one fails at
   * once: two at a time are a mistake of the pipeline.
   * @default 0
   */
  readonly lockWaitMs?: number
  /**
   * How long each statement waits for tables that other sessions use, in ms, at most an hour. Longer than a
   * session takes to finish a statement, shorter than a CI job waits for a worker left running.
   * @default 10,000
   */
  readonly lockTimeoutMs?: number
  /** Rows per statement, 1 to 100,000; beyond a few thousand the time per row no longer falls. @default 5,000 */
  readonly batchRows?: number
}

/**
 * Longer than a session takes to finish a statement, shorter than a CI job waits for a worker left running.
 */
const DEFAULT_LOCK_TIMEOUT_MS = 10_000
const DEFAULT_SEED = 1

const COMMAND_OPTIONS = namesOf<MigrateCommand>({
  command: true,
  args: true,
  cwd: true,
  env: true,
  timeoutMs: true,
})

export const OPTIONS = namesOf<ResetAndSeedOptions>({
  connection: true,
  allow: true,
  schemas: true,
  migrate: true,
  tables: true,
  require: true,
  seed: true,
  mode: true,
  keep: true,
  dryRun: true,
  onProgress: true,
  lockWaitMs: true,
  lockTimeoutMs: true,
  batchRows: true,
})

/** Options with nothing left to guess. */
export type Settings = Required<Omit<ResetAndSeedOptions, 'migrate'>> & { readonly migrate: Migrate | null }

/** @throws InvalidOptionError */
export function settle(options: ResetAndSeedOptions): Settings {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError('options', options, '{ connection, allow, schemas, migrate, tables }')
  }
  assertKnownOptions('resetAndSeed', options, OPTIONS)
  const { connection, allow, schemas, tables } = options
  if ((typeof connection !== 'string' && typeof connection !== 'object') || !connection) {
    throw new InvalidOptionError('connection', connection, "a URL 'postgres://…' or settings of pg.Client")
  }
  assertAllow(allow)
  assertSchemas(schemas)
  assertTables(tables, schemas)
  const mode = oneOfThese('mode', options.mode ?? 'recreate', ['recreate', 'truncate'] as const)
  const migrate = options.migrate ?? null
  if (mode === 'recreate' && migrate === null) {
    throw new InvalidOptionError(
      'migrate',
      migrate,
      "a function or { command }; only mode 'truncate' goes without",
    )
  }
  if (migrate !== null && typeof migrate !== 'function' && typeof migrate.command !== 'string') {
    throw new InvalidOptionError('migrate', migrate, 'a function or { command, args, cwd, env, timeoutMs }')
  }
  if (migrate !== null && typeof migrate !== 'function') {
    assertKnownOptions('migrate', migrate, COMMAND_OPTIONS)
    const { timeoutMs } = migrate
    if (timeoutMs !== undefined) inRange('migrate.timeoutMs', timeoutMs, 1, 2 ** 31 - 1)
  }
  const requirements = options.require ?? {}
  assertRequirements(
    requirements,
    tables.map(({ name }) => name),
  )
  return {
    connection,
    allow,
    schemas,
    tables,
    mode,
    migrate,
    require: requirements,
    seed: inRange('seed', options.seed ?? DEFAULT_SEED, 0, Number.MAX_SAFE_INTEGER),
    keep: options.keep ?? [],
    dryRun: options.dryRun ?? false,
    onProgress: options.onProgress ?? (() => {}),
    lockWaitMs: inRange('lockWaitMs', options.lockWaitMs ?? DEFAULT_LOCK_WAIT_MS, 0, 3_600_000),
    lockTimeoutMs: inRange('lockTimeoutMs', options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS, 1, 3_600_000),
    batchRows: inRange('batchRows', options.batchRows ?? DEFAULT_BATCH_ROWS, 1, 100_000),
  }
}

function assertSchemas(schemas: readonly string[]): void {
  const expected = "at least one schema of yours, each once, such as ['app']"
  if (!Array.isArray(schemas) || schemas.length === 0 || new Set(schemas).size < schemas.length) {
    throw new InvalidOptionError('schemas', schemas, expected)
  }
  for (const schema of schemas) {
    if (typeof schema !== 'string' || schema === '' || /^pg_|^information_schema$/i.test(schema)) {
      throw new InvalidOptionError('schemas', schema, expected)
    }
  }
}

function assertTables(tables: readonly AnyTable[], schemas: readonly string[]): void {
  if (!Array.isArray(tables) || tables.length === 0) {
    throw new InvalidOptionError('tables', tables, "at least one table('schema.table', …)")
  }
  const names = new Set<string>()
  for (const { name } of tables) {
    if (names.has(name)) throw new InvalidOptionError('tables', name, 'each table once')
    if (!schemas.includes(splitName(name).schema)) {
      throw new InvalidOptionError(
        'tables',
        name,
        `tables of the schemas that are reset: ${schemas.join(', ')}`,
      )
    }
    names.add(name)
  }
}

function inRange(option: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new InvalidOptionError(option, value, `an integer from ${min} to ${max}`)
}

function oneOfThese<T extends string>(option: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value
  throw new InvalidOptionError(option, value, allowed.join(', '))
}
