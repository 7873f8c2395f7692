import type { Operation } from '@opsledger/core'
import type { BenchPayload } from '../cases/opsledger.ts'
import type { TrialPlace } from '../trial.ts'

/** What stands between a queue and the handler. */
export const QUEUE_GUARDS = ['alone', 'hand-rolled', 'opsledger'] as const
export type QueueGuard = (typeof QUEUE_GUARDS)[number]

/** What is done with a job: a plain function, or an operation for the queue's adapter to wrap. */
export type QueueWork =
  | { readonly kind: 'plain'; handle(payload: BenchPayload): Promise<void> }
  | { readonly kind: 'operation'; readonly operation: Operation<BenchPayload, void> }

/** Wraps what the queue calls, to measure from the delivery to the answer. */
export type Timed = <A extends unknown[], R>(
  process: (...args: A) => Promise<R>,
) => (...args: A) => Promise<R>

interface OpenQueue {
  fill(payloads: readonly BenchPayload[]): Promise<void>
  /** Works on what the queue holds, so many jobs at once. @returns what stops it, when its jobs have ended */
  work(work: QueueWork, timed: Timed, concurrency: number): Promise<() => Promise<void>>
  close(): Promise<void>
}

export type Open = (place: TrialPlace) => Promise<OpenQueue>

export interface BenchQueue {
  readonly name: string
  readonly title: string
  readonly needsRedis: boolean
  /** Its code, which only the process that runs it loads. */
  load(): Promise<Open>
}
