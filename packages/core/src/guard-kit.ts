/**
 * What a package needs that brings a guard of its own; hosts have no use for it. It may change with any version, and
 * with it only such packages.
 * @module
 */
export { type Batcher, type BatcherOptions, createBatcher, DEFAULT_MAX_BATCH } from './batcher.ts'
export { arrayLiteral } from './database/array-literal.ts'
export { bounded } from './database/bounded.ts'
export {
  connectionProblem,
  describeSettings,
  isConflict,
  isConnectionError,
  isShortOfResources,
  rightsProblem,
  sqlState,
} from './database/database-error.ts'
export {
  type Call,
  type ConnectionSettings,
  callText,
  type Executor,
  type HostTransaction,
  type LedgerTables,
  OWN_SETTINGS,
  parseAnswer,
  quoteName,
  type ServerFacts,
} from './database/executor.ts'
export { pause, retrying, within } from './database/retry.ts'
export { type Publish, publish } from './events.ts'
export type {
  Admission,
  AdmissionRequest,
  AdoptionReply,
  Claim,
  Guard,
  Refusal,
  RunClaim,
  SettlementReply,
  StaleLimits,
  SweepPlace,
  SweptBatch,
} from './guard/guard.ts'
export {
  type AdmittedAnswer,
  batching,
  callAdopt,
  callSweep,
  claimFrom,
  createSettler,
  inOrder,
  type RunParts,
  type RunRequest,
  type RunSettlement,
  settleOnce,
  toRunRequest,
  toSettlement,
} from './guard/record-only-guard.ts'
export { assertKnownOptions } from './known-options.ts'
export { runtimeOf } from './ledger.ts'
export type { MigrationSet, SchemaMigration, SqlFile } from './migrations/migration.ts'
export { assertDuration, exactFingerprint, MAX_TYPE_LENGTH } from './operation/operation-plan.ts'
export { type AttemptEnding, isSecured, runAttempt } from './operation/run-attempt.ts'
export { walkTable } from './operators/prune.ts'
export { type CountBook, createCountBook } from './run/counts.ts'
export { exactDelivery } from './run/delivery.ts'
export { type PastAttemptRow, type RunRow, runFromRow } from './run/run.ts'
export { runningRun } from './run/running-run.ts'
export { assertText, exactScope } from './run/scope.ts'
export type { Settlement } from './run/settlement.ts'
export type { Runtime } from './runtime.ts'
export { planSettings, transactionRules, writeRules } from './sql/plan-settings.ts'
export { rowRules } from './sql/row-rules.ts'
export type { CommittedSettlement, Execution, Executions } from './worker/executions.ts'
export type { Term } from './worker/term.ts'
