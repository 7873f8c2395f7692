// The ledger and its operations

export type { ConnectionSettings } from './database/executor.ts'
export {
  ClaimLostError,
  CountError,
  DatabaseRefusedError,
  DatabaseUnavailableError,
  InvalidOptionError,
  LedgerClosedError,
  MissingIdentityError,
  MissingMigrationError,
  NewerSchemaError,
  OpsLedgerError,
  ScopeMismatchError,
} from './errors.ts'
export type { LedgerEventName, LedgerEvents } from './events.ts'
export { describeFailure, type Failure } from './failure/describe-failure.ts'
// Why something failed
export { OperationError } from './failure/operation-error.ts'
export { isReasonCode, type LibraryReasonCode, REASON_CODES, type ReasonCode } from './failure/reason-code.ts'
export type { Guard } from './guard/guard.ts'
export { createLedger, type Ledger, type LedgerOptions, type SweepOptions } from './ledger.ts'
// The schema, and what can be listened to
export { type MigrateOptions, type MigrationReport, migrate, migrationSql } from './migrate.ts'
export type { Opened } from './operation/open-run.ts'
export type { Operation } from './operation/operation.ts'
export type { HandlerContext, OperationOptions, SystemJobOptions } from './operation/operation-plan.ts'
export type { PruneOptions, PruneReport } from './operators/prune.ts'
export type { Page, Reads, RunFilter, RunPage } from './operators/reads.ts'
export { createRedactor, type Redactor } from './redaction/redactor.ts'
export type { Recorder } from './run/counts.ts'
export type { Delivery } from './run/delivery.ts'
export { type IdentityParts, type JobIdentity, jobIdentity } from './run/identity.ts'
export type { Counts, PastAttempt, Progress, Run, RunOutcome, RunStatus } from './run/run.ts'
export type { ExactScope, Scope } from './run/scope.ts'
// What they answer
export type { Holder, SettlementAnswer, SkipReason, Verdict } from './run/verdict.ts'
