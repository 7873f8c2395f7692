import { DatabaseUnavailableError } from '../errors.ts'
import { isConflict, isConnectionError, isShortOfResources, sqlState } from './database-error.ts'

/** A conflict is over as soon as the other side commits; more rounds than this mean something else is wrong. */
const MAX_CONFLICTS = 8
const FIRST_PAUSE_MS = 5
/** Often enough to notice that a restarted server is back, rarely enough not to storm it. */
const MAX_PAUSE_MS = 250

/**
 * Sends again what failed without taking effect (a conflict, a full disk) or with unknown effect (a lost connection; so only what
 * is idempotent may be passed). Everything else is thrown as it is.
 * @throws DatabaseUnavailableError when the database stayed away, or somebody else was in the way, for `withinMs`
 */
export async function retrying<T>(
  work: () => Promise<T>,
  withinMs: number,
  isCancelled = () => false,
): Promise<T> {
  const giveUpAt = performance.now() + withinMs
  let conflicts = 0
  for (let round = 0; ; round++) {
    try {
      return await work()
    } catch (error) {
      const isLost = isConnectionError(error) || isShortOfResources(error)
      // Waiting for a row is bounded by time alone: whoever holds it may be slow.
      const isWaiting = sqlState(error) === '55P03'
      if (!isLost && !isConflict(error)) throw error
      if (!isLost && !isWaiting && ++conflicts >= MAX_CONFLICTS)
        throw unavailable(error, 'was in conflict each time')
      const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** round) * (0.5 + Math.random() / 2)
      if (isCancelled() || performance.now() + pauseMs > giveUpAt) {
        if (error instanceof DatabaseUnavailableError) throw error
        throw unavailable(
          error,
          `${isConnectionError(error) ? 'stayed away' : isLost ? 'could not write' : 'was busy'} for ${withinMs} ms`,
        )
      }
      await pause(pauseMs)
    }
  }
}

function unavailable(cause: unknown, why: string): DatabaseUnavailableError {
  return new DatabaseUnavailableError(`The database ${why}: ${(cause as Error).message}`, { cause })
}

/** Keeps the process alive meanwhile, and cannot be cut short. */
export function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}

/** Resolves with the work or when the time is up, whichever comes first; its timer keeps no process alive. */
export async function within(durationMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, durationMs)
  })
  await Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}
