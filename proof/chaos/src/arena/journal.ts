import type { Counts, Holder, SettlementAnswer, SkipReason } from '@opsledger/core'
import type { Nanos } from '@opsledger/testing'

/**
 * What really happened, told past the library: by the handlers (`started`, `settling`, `ended`), by who called it (`answered`), and
 * by the process itself when it fell (`fell`).
 */
export type Mark = { readonly at: Nanos; readonly pid: number } & (
  | {
      readonly mark: 'started'
      readonly work: string
      readonly fence: number
      readonly runId: string
      readonly attempt: number
      readonly deliveryId: string
    }
  | {
      readonly mark: 'ended'
      readonly fence: number
      readonly ending: Ending
      /** What this attempt is to be remembered with, if it is the one that counts. */
      readonly counts: Counts
    }
  /** It is about to settle in a transaction of its own: from the commit on, nothing is held any more. */
  | { readonly mark: 'settling'; readonly fence: number }
  | {
      readonly mark: 'answered'
      readonly askedAt: Nanos
      readonly work: string
      readonly deliveryId: string
      readonly answer: Answer
    }
  | { readonly mark: 'fell'; readonly why: string }
)

/** `failed`: for good. `stopped`: by its signal. */
export type Ending = 'returned' | 'threw' | 'failed' | 'stopped'

export type Answer =
  | {
      readonly kind: 'executed'
      readonly fence: number
      readonly settlement: SettlementAnswer
      readonly isHandedBack: boolean
    }
  | {
      readonly kind: 'skipped'
      readonly reason: SkipReason
      readonly action: 'discard' | 'retry_later'
      readonly holder: Holder | null
      readonly runId: string | null
    }
  /** The library threw before it executed anything. `sqlState`: what the server said, if it said something. */
  | {
      readonly kind: 'unavailable'
      readonly code: string
      readonly sqlState: string | null
      readonly message: string
    }
