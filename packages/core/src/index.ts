// The ledger and its operations

export type { Recorder } from './counts.ts'
export type { ConnectionSettings } from './database/executor.ts'
export type { Delivery } from './delivery.ts'
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
export type { Guard } from './guard.ts'
export { type IdentityParts, type JobIdentity, jobIdentity } from './identity.ts'
export { createLedger, type Ledger, type LedgerOptions, type SweepOptions } from './ledger.ts'
// The schema, and what can be listened to
export { type MigrateOptions, type MigrationReport, migrate, migrationSql } from './migrate.ts'
export type { Opened } from './open-run.ts'
export type { HandlerContext, Operation, OperationOptions, SystemJobOptions } from './operation.ts'
// Why something failed
export { OperationError } from './operation-error.ts'
export type { PruneOptions, PruneReport } from './prune.ts'
export type { Page, Reads, RunFilter, RunPage } from './reads.ts'
export { isReasonCode, type LibraryReasonCode, REASON_CODES, type ReasonCode } from './reason-code.ts'
export { createRedactor, type Redactor } from './redaction/redactor.ts'
export type { Counts, PastAttempt, Progress, Run, RunOutcome, RunStatus } from './run.ts'
export type { ExactScope, Scope } from './scope.ts'
// What they answer
export type { Holder, SettlementAnswer, SkipReason, Verdict } from './verdict.ts'
