import type { Call } from '../database/executor.ts'
import type { Ledger } from '../ledger.ts'
import type { Delivery } from '../run/delivery.ts'
import type { JobIdentity } from '../run/identity.ts'
import type { PastAttempt, Run, RunOutcome } from '../run/run.ts'
import type { Settlement } from '../run/settlement.ts'
import type { SettlementAnswer, Verdict } from '../run/verdict.ts'

/** The right to execute one identity now. Every later write must match its fence. */
export interface Claim {
  readonly identity: string
  readonly workKey: string
  readonly fence: number
  /** Null where a guard is used without a ledger of runs. */
  readonly runId: string | null
  readonly startedAt: Date
  /** The term it was claimed under. */
  readonly workerId: string
}

/** A claim, and the attempt of the run that began with it. */
export interface RunClaim extends Claim {
  readonly runId: string
  readonly attempt: number
  readonly createdAt: Date
  readonly context: unknown
  readonly pastAttempts: readonly PastAttempt[]
}

/** A delivery that wants to execute. */
export interface AdmissionRequest {
  readonly job: JobIdentity
  /** The id of the run when the job names none and none is open. */
  readonly newRunId: string
  readonly delivery: Pick<Delivery, 'id' | 'attempt' | 'maxAttempts'>
  readonly context: unknown
}

/** The half of a verdict that says no: the same value the host is answered with. */
export type Refusal = Extract<Verdict<never>, { executed: false }>

/** A claim to execute under, or what to answer instead. */
export type Admission =
  | { readonly admitted: true; readonly claim: RunClaim }
  | { readonly admitted: false; readonly refusal: Refusal }

/** What one batch of a sweep looks at, and when a run counts as lost. */
export interface StaleLimits {
  /** Null for every workspace. */
  readonly workspaceId: string | null
  /** By type, in ms: how long a run may wait for a delivery. */
  readonly limits: Readonly<Record<string, number>>
  /** For types that `limits` does not name. */
  readonly defaultLimitMs: number
  /** Runs looked at, at most: each holds an advisory lock until the batch commits. */
  readonly batch: number
  /** `next` of the batch before; null for the first one. */
  readonly after: SweepPlace | null
}

/** How far a sweep has come: the run it looked at last, with its instant as Postgres wrote it. */
export interface SweepPlace {
  readonly createdAt: string
  readonly id: string
}

/** What one batch of a sweep closed. */
export interface SweptBatch {
  readonly runs: Run[]
  /** Where the next batch begins; null when this was the last one. */
  readonly next: SweepPlace | null
}

/**
 * What decides whether a delivery executes. Core's own records and fences but excludes nobody; `@opsledger/dedupe` is
 * the one that excludes.
 */
export interface Guard {
  /** The ledger it was made for, whose term and connections it uses. Operations of another ledger refuse it. */
  readonly ledger: Ledger
  /** Whether two executions of one identity are kept apart. System jobs need it. */
  readonly excludes: boolean
  /** How long an identity is refused after a terminal completion, in ms. */
  readonly cooldownMs: number
  /**
   * Waits at most the ledger's `admissionTimeoutMs`; what arrives together shares a statement.
   * @throws ScopeMismatchError, DatabaseUnavailableError, DatabaseRefusedError; of `@opsledger/dedupe`
   * TransactionPoolerError, LockTableFullError
   */
  admit(request: AdmissionRequest): Promise<Admission>
  /** Bounded retries inside; never throws for an unreachable database. */
  settle(claim: Claim, settlement: Settlement, cooldownMs: number): Promise<SettlementReply>
  /**
   * Inside a host's transaction, last before its commit: locks the claim, and answers with the transaction's id while
   * the claim still is at its fence, else with null.
   */
  lock(call: Call, claim: Claim): Promise<string | null>
  /** As `settle`, as a part of the host's transaction; `finish` follows when that has committed and the handler ended. */
  settleIn(call: Call, claim: Claim, settlement: Settlement, cooldownMs: number): Promise<SettlementReply>
  /** The claim was settled with a host's transaction: lets go of what this process keeps of it. */
  finish(claim: Claim): void
  /** The claim was admitted and will not be executed here: lets go of what this process keeps of it. */
  abandon(claim: Claim): void
  /** Moves executions to a new term. */
  adopt(claims: readonly Claim[], workerId: string): Promise<AdoptionReply>
  /** The finished run of this work while it cools down. */
  coolingRun(job: JobIdentity): Promise<{ run: Run; retryAfterMs: number } | null>
  /** One batch, in one transaction. */
  sweep(limits: StaleLimits): Promise<SweptBatch>
  /** Deletes claims that were free, or past their cooldown, for this long; in bounded batches. */
  pruneClaims(olderThanMs: number, signal: AbortSignal | undefined): Promise<number>
}

/** What became of claims that were to move to a new term, by fence. What is in neither was taken. */
export interface AdoptionReply {
  readonly kept: ReadonlySet<number>
  /** Not known yet: somebody has the row, a host's commit for instance. To be asked again. */
  readonly busy: ReadonlySet<number>
}

/** What became of a settlement. */
export interface SettlementReply {
  readonly answer: SettlementAnswer
  /** By the database's clock; null while the run is not completed, and when it is not known whether it is. */
  readonly completedAt: Date | null
  /** With `already_settled`: how this attempt was settled before, where the run still remembers it. */
  readonly ending?: { readonly outcome: RunOutcome; readonly reasonCode: string | null } | null
}
