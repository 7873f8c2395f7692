import { setTimeout as sleep } from 'node:timers/promises'

/** Sessions that were just closed are gone from the server within milliseconds. */
const RETRY_WITHIN_MS = 10_000
const RETRY_EVERY_MS = 50

/** Postgres copies and renames only what nobody is connected to (55006); a closing session may need a moment. */
export async function retryWhileInUse<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + RETRY_WITHIN_MS
  for (;;) {
    try {
      return await attempt()
    } catch (cause) {
      if ((cause as { code?: string }).code !== '55006') throw cause
      if (Date.now() > deadline) {
        throw new Error(`Somebody was still connected to ${what} after ${RETRY_WITHIN_MS} ms`, { cause })
      }
      await sleep(RETRY_EVERY_MS)
    }
  }
}
