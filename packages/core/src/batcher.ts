/** Longer batches save no more round trips worth having, and hold their locks longer. */
export const DEFAULT_MAX_BATCH = 256

export interface Batcher<I, O> {
  add(item: I): Promise<O>
  /** Resolves when nothing is waiting or in flight. */
  idle(): Promise<void>
}

/**
 * Items that arrive together share a send. A lone item waits for nothing but the end of the current turn of the event
 * loop; while a send is in flight, what arrives waits for at most that one. When a send of many fails, each is sent
 * alone, so that one bad item cannot spoil its neighbours.
 */
export function createBatcher<I, O>(
  send: (items: readonly I[]) => Promise<readonly O[]>,
  options: { maxBatch?: number; isolates?: (error: unknown) => boolean } = {},
): Batcher<I, O> {
  const maxBatch = options.maxBatch ?? DEFAULT_MAX_BATCH
  type Waiting = { item: I; resolve: (value: O) => void; reject: (error: unknown) => void }
  let waiting: Waiting[] = []
  let isSending = false
  let onIdle: (() => void)[] = []

  const deliver = async (batch: Waiting[]): Promise<void> => {
    try {
      const answers = await send(batch.map((entry) => entry.item))
      batch.forEach((entry, index) => {
        entry.resolve(answers[index]!)
      })
    } catch (error) {
      if (batch.length === 1 || options.isolates?.(error) === false) {
        for (const entry of batch) entry.reject(error)
        return
      }
      for (const entry of batch) await deliver([entry])
    }
  }

  const pump = async () => {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxBatch)
      waiting = waiting.slice(maxBatch)
      await deliver(batch)
    }
    isSending = false
    for (const resolve of onIdle) resolve()
    onIdle = []
  }

  return {
    add(item) {
      return new Promise<O>((resolve, reject) => {
        waiting.push({ item, resolve, reject })
        if (!isSending) {
          isSending = true
          queueMicrotask(pump)
        }
      })
    },
    idle() {
      return isSending ? new Promise((resolve) => onIdle.push(resolve)) : Promise.resolve()
    },
  }
}
