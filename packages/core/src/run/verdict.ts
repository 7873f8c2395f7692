import type { Run } from './run.ts'

/** Why a delivery did not execute. */
export type SkipReason = 'overlap' | 'cooldown' | 'already_terminal' | 'not_canonical' | 'lock_busy'

/** What became of the attempt's settlement. */
export type SettlementAnswer =
  /** Written now. */
  | 'settled'
  /** Written before; its reply was lost. */
  | 'already_settled'
  /** A later attempt has the run: nothing was changed. */
  | 'superseded'
  /** The database stayed away beyond the bound: it may be written or not, and the run is found by the sweep if not. */
  | 'unconfirmed'

/** Who stands behind a refusal. Only ever of the same scope. */
export interface Holder {
  readonly runId: string | null
  readonly attempt: number | null
  readonly workerId: string
  /** Host and process id of the worker, while its term is known. */
  readonly host: string | null
  readonly pid: number | null
  readonly deliveryId: string
  readonly fence: number
  /** When it was claimed; for a cooldown, when it was settled. */
  readonly since: Date
}

/**
 * All that came of a delivery, what the handler threw included: for adapters, which must tell a queue whether the job
 * failed, is to be tried again, or was handed back.
 */
export type Conclusion<T> =
  | (Extract<Verdict<T>, { executed: true }> & { readonly threw: false })
  | {
      readonly executed: true
      readonly threw: true
      /** What the handler threw, unchanged. `run.reasonCode` and `run.message` are what is safe to show of it. */
      readonly error: unknown
      /** `completed` when no retry is wanted (the last attempt, or a permanent failure), else `retrying`. */
      readonly run: Run
      readonly settlement: SettlementAnswer
      /**
       * The library stopped the attempt (it shuts down, or the claim is lost), or its delivery was aborted before the
       * handler began: no attempt of the queue is to be spent.
       */
      readonly isHandedBack: boolean
    }
  | Extract<Verdict<T>, { executed: false }>

/**
 * The answer to a delivery. `discard`: acknowledge the job, nothing is lost. `retry_later`: deliver it again after
 * `retryAfterMs`, without spending an attempt.
 */
export type Verdict<T> =
  | {
      readonly executed: true
      /** As this attempt ended. With `superseded` the ledger shows another attempt instead. */
      readonly run: Run
      readonly value: T
      readonly settlement: SettlementAnswer
    }
  | {
      readonly executed: false
      readonly reason: SkipReason
      readonly action: 'discard' | 'retry_later'
      /** With `retry_later`: when to try again. With `discard`: how long this refusal can last at least, if known. */
      readonly retryAfterMs: number
      readonly holder: Holder | null
      /** The run to look at: the delivery's own when it was closed as skipped, else the one that stands for it. */
      readonly run: Run | null
    }
