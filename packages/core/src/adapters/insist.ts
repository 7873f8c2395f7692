import { pause } from '../database/retry.ts'

const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 1_000
/** Longer than a restart of the database, shorter than the time a worker is given to stop. */
const INSIST_WITHIN_MS = 10_000

/**
 * Makes a call to the queue again, whatever it failed with: the host's pool or its `db` may wrap what the database said,
 * and to give up spends an attempt. For calls that do no harm when an earlier one took effect unheard.
 */
export async function insist<T>(call: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + INSIST_WITHIN_MS
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)) {
    try {
      return await call()
    } catch (error) {
      if (performance.now() + pauseMs > giveUpAt) throw error
      await pause(pauseMs)
    }
  }
}
