// biome-ignore-all assist/source/organizeImports: in the order of the concepts

// The ledger and its operations
export { createLedger, type Ledger, type LedgerOptions, type SweepOptions } from './ledger.ts'
export type { Operation } from './operation/operation.ts'
export type { RunningRun, RunTransactionOptions } from './operation/run-transaction.ts'
export type {
  HandlerContext,
  OperationBasics,
  OperationOptions,
  SystemJobOptions,
  WorkName,
} from './operation/operation-plan.ts'
export type { Opened } from './operation/open-run.ts'
export type { Recorder } from './run/counts.ts'
export type { Delivery } from './run/delivery.ts'
export type { ExactScope, Scope } from './run/scope.ts'
export { type IdentityParts, type JobIdentity, jobIdentity } from './run/identity.ts'

// What they answer
export type { Conclusion, Holder, SettlementAnswer, SkipReason, Verdict } from './run/verdict.ts'
export type { Counts, PastAttempt, Progress, Run, RunOutcome, RunStatus } from './run/run.ts'

// What operators ask and do
export type { Page, Reads, RunFilter, RunPage } from './operators/reads.ts'
export type { PruneOptions, PruneReport } from './operators/prune.ts'

// Why something failed
export { OperationError, type OperationErrorOptions } from './failure/operation-error.ts'
export { isReasonCode, type LibraryReasonCode, REASON_CODES, type ReasonCode } from './failure/reason-code.ts'
export { describeFailure, type Failure } from './failure/describe-failure.ts'
export { createRedactor, type Redactor, type RedactorOptions } from './redaction/redactor.ts'
export {
  ClaimLostError,
  CountError,
  DatabaseRefusedError,
  DatabaseUnavailableError,
  TransactionUnconfirmedError,
  InvalidOptionError,
  LedgerClosedError,
  MissingIdentityError,
  MissingMigrationError,
  NewerSchemaError,
  OpsLedgerError,
  ScopeMismatchError,
} from './errors.ts'

// The schema, and what can be listened to
export { migrate, type MigrateOptions, type MigrationReport, migrationSql } from './migrate.ts'
export type { MigrationSet } from './migrations/migration.ts'
export type { ConnectionSettings } from './database/executor.ts'
export type { LedgerEventName, LedgerEvents } from './events.ts'
export type { Guard, Refusal } from './guard/guard.ts'
export type { Settlement } from './run/settlement.ts'
