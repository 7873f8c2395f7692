import type { Holder, SettlementAnswer, SkipReason } from '@opsledger/core'
import type { Nanos } from '@opsledger/testing'

/** What really happened, told past the library: by the handlers (`started`, `ended`), and by who called it (`answered`). */
export type Mark =
  | {
      readonly mark: 'started'
      readonly at: Nanos
      readonly pid: number
      readonly work: string
      readonly fence: number
      readonly runId: string
      readonly attempt: number
      readonly deliveryId: string
    }
  | { readonly mark: 'ended'; readonly at: Nanos; readonly fence: number }
  | {
      readonly mark: 'answered'
      readonly at: Nanos
      readonly askedAt: Nanos
      readonly pid: number
      readonly work: string
      readonly deliveryId: string
      readonly answer: Answer
    }

export type Answer =
  | { readonly kind: 'executed'; readonly fence: number; readonly settlement: SettlementAnswer }
  /** The handler's own error came back. */
  | { readonly kind: 'threw' }
  | {
      readonly kind: 'skipped'
      readonly reason: SkipReason
      readonly action: 'discard' | 'retry_later'
      readonly holder: Holder | null
      readonly runId: string | null
    }
  | { readonly kind: 'error'; readonly message: string }
