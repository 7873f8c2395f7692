import type { Random } from '@opsledger/testing'
import type { Job, Then } from './messages.ts'

/** Who takes jobs: a worker with a free hand. */
export interface Taker {
  /** The how-many-th it is of the crew: the same for the same seed. */
  readonly number: number
  readonly freeHands: number
  take(hand: number, job: Job): void
}

/** How the queue left a delivery. */
export interface DeliveryRecord {
  readonly deliveryId: string
  readonly work: string
  /** Times it was handed out. */
  handed: number
  /** Handed out, or waiting to be. */
  open: number
  isComplete: boolean
}

/**
 * The host's queue, in the memory of the one process that no fault touches: at-least-once, with retries, delays that
 * cost no attempt, and redelivery of what a dead worker held.
 */
export interface Queue {
  add(jobs: readonly Job[]): void
  /** The same delivery once more while it may still be executing: what a stalled job is. */
  redeliver(hand: number): void
  concluded(hand: number, then: Then): void
  /** What this worker held goes back, at once. */
  lost(taker: Taker): void
  attach(taker: Taker): void
  detach(taker: Taker): void
  /** Jobs in somebody's hands now. */
  inHand(taker: Taker): ReadonlyMap<number, Job>
  readonly records: ReadonlyMap<string, DeliveryRecord>
  /** Jobs waiting, delayed or in hand. */
  readonly size: number
  readonly completed: number
  /** Resolves when fewer than `size` are left. */
  below(size: number): Promise<void>
  /** From now on whoever adds, looks how many are left, or waits, is thrown this: a fault that is interrupted unwinds. */
  abandon(why: Error): void
}

/** A contender asks this often, in ms, whatever longer pause it was told. */
const ASK_EVERY_MS = 100

export function createQueue(random: Random): Queue {
  const waiting: Job[] = []
  const takers: Taker[] = []
  const hands = new Map<number, { job: Job; taker: Taker }>()
  const records = new Map<string, DeliveryRecord>()
  const watchers: { size: number; resolve: () => void; reject: (why: Error) => void }[] = []
  let abandoned: Error | null = null
  let nextHand = 1
  let delayed = 0
  let completed = 0

  const size = () => waiting.length + delayed + hands.size
  const tell = () => {
    for (const watcher of watchers.splice(0)) {
      if (size() < watcher.size) watcher.resolve()
      else watchers.push(watcher)
    }
  }
  const assign = () => {
    while (waiting.length > 0) {
      const free = takers.filter((taker) => taker.freeHands > 0)
      if (free.length === 0) return
      const job = waiting.shift()!
      const record = records.get(job.deliveryId)!
      const taker = mostWanted(free, `${job.deliveryId} ${++record.handed}`)
      const hand = nextHand++
      hands.set(hand, { job, taker })
      taker.take(hand, job)
    }
  }
  /** A draw for each by itself: who gets a delivery does not depend on who else is free, nor on what was drawn before. */
  const mostWanted = (free: readonly Taker[], what: string) => {
    const drawn = free.map((taker) => ({ taker, draw: random.fork(`${what} ${taker.number}`).next() }))
    return drawn.reduce((best, one) => (one.draw > best.draw ? one : best)).taker
  }
  const put = (job: Job) => {
    let record = records.get(job.deliveryId)
    if (record === undefined) {
      record = { deliveryId: job.deliveryId, work: job.work, handed: 0, open: 0, isComplete: false }
      records.set(job.deliveryId, record)
    }
    record.open++
    waiting.push(job)
  }
  const later = (job: Job, afterMs: number) => {
    delayed++
    setTimeout(() => {
      delayed--
      waiting.push(job)
      assign()
    }, afterMs)
  }

  return {
    add(jobs) {
      if (abandoned !== null) throw abandoned
      for (const job of jobs) put(job)
      assign()
    },
    redeliver(hand) {
      const held = hands.get(hand)
      if (held === undefined) return
      put(held.job)
      assign()
    },
    concluded(hand, then) {
      const held = hands.get(hand)
      // What a worker says of a hand that was taken from it (it was thought dead) counts for nothing.
      if (held === undefined) return
      hands.delete(hand)
      const { job } = held
      const record = records.get(job.deliveryId)!
      if (then.kind === 'complete') {
        record.open--
        record.isComplete = true
        completed++
      } else if (then.kind === 'retry') {
        later({ ...job, attempt: Math.min(job.maxAttempts, job.attempt + 1) }, 0)
      } else {
        later(job, Math.min(ASK_EVERY_MS, then.retryAfterMs))
      }
      assign()
      tell()
    },
    lost(taker) {
      for (const [hand, held] of hands) {
        if (held.taker !== taker) continue
        hands.delete(hand)
        waiting.unshift(held.job)
      }
      assign()
      tell()
    },
    attach(taker) {
      takers.push(taker)
      assign()
    },
    detach(taker) {
      const at = takers.indexOf(taker)
      if (at >= 0) takers.splice(at, 1)
    },
    inHand: (taker) =>
      new Map([...hands].flatMap(([hand, held]) => (held.taker === taker ? [[hand, held.job]] : []))),
    records,
    get size() {
      if (abandoned !== null) throw abandoned
      return size()
    },
    get completed() {
      return completed
    },
    below(wanted) {
      if (abandoned !== null) return Promise.reject(abandoned)
      if (size() < wanted) return Promise.resolve()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      watchers.push({ size: wanted, resolve, reject })
      return promise
    },
    abandon(why) {
      abandoned = why
      for (const { reject } of watchers.splice(0)) reject(why)
    },
  }
}
