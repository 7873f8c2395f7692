/**
 * `@opsledger/core/guard`: what a package needs that brings a guard of its own. Changes here are breaking changes for
 * such packages only; hosts have no use for it.
 */
export { type Batcher, createBatcher, DEFAULT_MAX_BATCH } from './batcher.ts'
export {
  connectionProblem,
  describeSettings,
  isConflict,
  isConnectionError,
  sqlState,
} from './database/database-error.ts'
export {
  type ConnectionSettings,
  callText,
  type Executor,
  parseAnswer,
  quoteName,
  type ServerFacts,
} from './database/executor.ts'
export { pause, retrying } from './database/retry.ts'
export { publish } from './events.ts'
export type { Execution, Executions } from './executions.ts'
export type {
  Admission,
  AdmissionRequest,
  Claim,
  Guard,
  Refusal,
  SettlementReply,
  StaleLimits,
} from './guard.ts'
export { runtimeOf } from './ledger.ts'
export type { MigrationSet, SchemaMigration, SqlFile } from './migrations/migration.ts'
export { assertDuration } from './operation.ts'
export { walkTable } from './prune.ts'
export {
  type AdmittedAnswer,
  claimFrom,
  createSettler,
  inOrder,
  toAdoption,
  toRunRequest,
  toSettlement,
} from './record-only-guard.ts'
export { type RunRow, runFromRow } from './run.ts'
export { runningRun } from './running-run.ts'
export type { Runtime } from './runtime.ts'
export type { Settlement } from './settlement.ts'
export { planSettings, requireReadCommitted } from './sql/plan-settings.ts'
