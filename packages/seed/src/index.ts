// Reset and seed

export { defineSeed, type SeedConfig } from './command/config.ts'
export type { ConnectionSettings, Target } from './database/connection-settings.ts'
export type { Migrate, MigrateCommand, MigrateFunction, MigrationTarget } from './migrate.ts'
export type { ResetAndSeedOptions } from './options.ts'
export { resetAndSeed } from './reset-and-seed.ts'

// What may be reset

export { type Allow, MARKER, PRODUCTION_LIKE } from './safety/allow.ts'

// Tables, rows and values

export {
  type AnyTable,
  type Column,
  type Columns,
  type Count,
  type ParentRow,
  type RowOf,
  type Table,
  type TableDescription,
  type TableSpec,
  table,
  tableOf,
} from './plan/table.ts'

// Generators

export {
  type CellContext,
  filledByDatabase,
  type Generator,
  instant,
  integer,
  oneOf,
  serial,
  uuid,
} from './plan/generators.ts'
export type { Random } from './plan/random.ts'
export { type Reference, type RefOptions, ref, type Through, through } from './plan/reference.ts'
export type { SeedRow, SeedValue } from './plan/values.ts'

// What the rows must meet

export { describeProblem, type Problem, type ProblemKind } from './check/problem.ts'
export { DEFAULT_RULES, type Requirements, type Rule } from './plan/rules.ts'

// What it says

export { describeProgress, type Progress } from './progress.ts'
export { describeReport, type SeedReport } from './report.ts'

// What can go wrong

export {
  ConnectionChangedError,
  ConnectionFailedError,
  InvalidOptionError,
  MigrationFailedError,
  ResetBlockedError,
  ResetFailedError,
  ResetInProgressError,
  ResetRefusedError,
  SeedError,
  SeedingFailedError,
  UnsatisfiedPlanError,
} from './errors.ts'
