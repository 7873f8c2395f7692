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
  type Call,
  type ConnectionSettings,
  callText,
  type Executor,
  OWN_SETTINGS,
  parseAnswer,
  quoteName,
  type ServerFacts,
} from './database/executor.ts'
export { pause, retrying, within } from './database/retry.ts'
export { publish } from './events.ts'
export type {
  Admission,
  AdmissionRequest,
  Claim,
  Guard,
  Refusal,
  RunClaim,
  SettlementReply,
  StaleLimits,
} from './guard/guard.ts'
export {
  type AdmittedAnswer,
  callSweep,
  claimFrom,
  createSettler,
  inOrder,
  settleOnce,
  toAdoption,
  toRunRequest,
  toSettlement,
} from './guard/record-only-guard.ts'
export { assertKnownOptions } from './known-options.ts'
export { runtimeOf } from './ledger.ts'
export type { MigrationSet, SchemaMigration, SqlFile } from './migrations/migration.ts'
export { assertDuration, exactFingerprint, MAX_TYPE_LENGTH } from './operation/operation-plan.ts'
export { isSecured, runAttempt } from './operation/run-attempt.ts'
export { walkTable } from './operators/prune.ts'
export { createCountBook } from './run/counts.ts'
export { exactDelivery } from './run/delivery.ts'
export { type RunRow, runFromRow } from './run/run.ts'
export { runningRun } from './run/running-run.ts'
export { assertText, exactScope } from './run/scope.ts'
export type { Settlement } from './run/settlement.ts'
export type { Runtime } from './runtime.ts'
export { commitDurably, planSettings, transactionRules } from './sql/plan-settings.ts'
export type { Execution, Executions } from './worker/executions.ts'
