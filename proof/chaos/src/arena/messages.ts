import type { ExclusionMode } from '@opsledger/dedupe'

/** What a worker process is told when it starts. */
export interface WorkerSettings {
  readonly url: string
  /** Where it keeps its journal. */
  readonly folder: string
  readonly exclusion: ExclusionMode
  /** Through a host's own Kysely instance instead of the library's connections. */
  readonly throughKysely: boolean
  readonly leaseMs: number
  /** Connections for work; for a Kysely host the size of its pool. */
  readonly connections: number
  /** How wrong this process's wall clock is, in ms. */
  readonly clockSkewMs: number
  /** The mutant of the library that this process runs, by name. */
  readonly mutant: string | null
  readonly admissionTimeoutMs: number
  readonly settlementTimeoutMs: number
}

/** One delivery as the queue hands it out. */
export interface Job {
  readonly deliveryId: string
  readonly work: string
  readonly tenantId: string
  readonly attempt: number
  readonly maxAttempts: number
  readonly cooldownMs: number
  /** How long the handler takes, in ms. */
  readonly handlerMs: number
  /** How long it keeps the event loop to itself, in ms. */
  readonly blockMs: number
  /** Attempts that throw before one succeeds. */
  readonly failures: number
  /** How the attempt after those ends. */
  readonly ending: 'returns' | 'fails'
  /** Writes a row of the host's and settles in one `run.transaction`. */
  readonly writesEffect?: boolean
}

export type ToWorker = { readonly hand: number; readonly job: Job } | { readonly close: true }

/** `asked`: on its way into the library. `settling`: the handler is over. */
export type Phase = 'asked' | 'started' | 'settling' | 'answered'

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'phase'; readonly phase: Phase; readonly hand: number; readonly fence: number | null }
  | { readonly kind: 'concluded'; readonly hand: number; readonly then: Then }

/** What the queue is to do with the delivery. */
export type Then =
  | { readonly kind: 'complete' }
  | { readonly kind: 'retry' }
  | { readonly kind: 'delay'; readonly retryAfterMs: number }
