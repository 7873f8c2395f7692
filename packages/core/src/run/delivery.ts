import { InvalidOptionError } from '../errors.ts'
import { assertText } from './scope.ts'

/**
 * One arrival of a job from the host's queue. The numbers are the queue's own and decide one thing: whether a failure
 * is terminal. Both are required, because guessing either would start a cooldown too early or never.
 */
export interface Delivery {
  /** The queue's job id: the same for a retry and a redelivery, another for another dispatch. */
  readonly id: string
  /** Counted from 1. */
  readonly attempt: number
  /** How many attempts the queue will make in all, this one included. */
  readonly maxAttempts: number
  /** The queue's own wish to stop this job: passed on to the handler's signal. */
  readonly signal?: AbortSignal
}

const MAX_DELIVERY_ID_LENGTH = 255
const MAX_ATTEMPTS = 2_147_483_647

/** Each field read once, checked and frozen. @throws InvalidOptionError naming the field */
export function exactDelivery(delivery: Delivery): Delivery {
  if (typeof delivery !== 'object' || delivery === null) {
    throw new InvalidOptionError('delivery', delivery, '{ id, attempt, maxAttempts }')
  }
  const { id, attempt, maxAttempts, signal } = delivery
  assertText('delivery.id', id, MAX_DELIVERY_ID_LENGTH)
  assertAttempt('delivery.attempt', attempt)
  assertAttempt('delivery.maxAttempts', maxAttempts)
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new InvalidOptionError('delivery.signal', signal, 'an AbortSignal, or nothing')
  }
  return Object.freeze({ id, attempt, maxAttempts, signal })
}

/** Whether the queue will not deliver this job again by itself when the attempt fails. */
export function isLastAttempt(delivery: Delivery): boolean {
  return delivery.attempt >= delivery.maxAttempts
}

function assertAttempt(option: string, value: number): void {
  if (!Number.isInteger(value) || value < 1 || value > MAX_ATTEMPTS) {
    throw new InvalidOptionError(option, value, 'a whole number from 1')
  }
}
