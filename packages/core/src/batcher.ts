/**
 * Longer batches save nothing worth having, hold their locks longer, and leave nothing to do for the other side: two of
 * half the size are admitted and settled side by side (docs/decisions/cost.md).
 */
export const DEFAULT_MAX_BATCH = 128

export interface BatcherOptions {
  readonly maxBatch?: number
  /** Sends under way at once. @default 1 */
  readonly maxInFlight?: number
  /** Whether an error may be one item's alone. @default always */
  readonly isolates?: (error: unknown) => boolean
}

export interface Batcher<I, O> {
  add(item: I): Promise<O>
  /** Resolves when nothing is waiting or in flight. */
  idle(): Promise<void>
}

/**
 * Items that arrive together share a send. A lone item waits for nothing but the end of the current turn of the event
 * loop, or for one of the sends under way where there are as many as may be. When a send of many fails, each is sent
 * alone, so that one bad item cannot spoil its neighbours.
 */
export function createBatcher<I, O>(
  send: (items: readonly I[]) => Promise<readonly O[]>,
  { maxBatch = DEFAULT_MAX_BATCH, maxInFlight = 1, isolates }: BatcherOptions = {},
): Batcher<I, O> {
  type Waiting = { item: I; resolve: (value: O) => void; reject: (error: unknown) => void }
  const waiting: Waiting[] = []
  let inFlight = 0
  let isAboutToSend = false
  let onIdle: (() => void)[] = []

  const deliver = async (batch: Waiting[]): Promise<void> => {
    try {
      const answers = await send(batch.map((entry) => entry.item))
      batch.forEach((entry, index) => {
        entry.resolve(answers[index]!)
      })
    } catch (error) {
      if (batch.length === 1 || isolates?.(error) === false) {
        for (const entry of batch) entry.reject(error)
        return
      }
      for (const entry of batch) await deliver([entry])
    }
  }

  const pump = () => {
    isAboutToSend = false
    while (waiting.length > 0 && inFlight < maxInFlight) {
      inFlight++
      deliver(waiting.splice(0, maxBatch)).then(() => {
        inFlight--
        pump()
      })
    }
    if (inFlight > 0) return
    for (const resolve of onIdle) resolve()
    onIdle = []
  }

  return {
    add(item) {
      return new Promise<O>((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        if (isAboutToSend || inFlight >= maxInFlight) return
        isAboutToSend = true
        queueMicrotask(pump)
      })
    },
    idle() {
      const isIdle = inFlight === 0 && waiting.length === 0
      return isIdle ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))
    },
  }
}
