import { createDatabase, type Server, startWorker } from '@opsledger/testing'
import type { Trial, TrialReply } from './trial.ts'

/** Of what a child said before it fell, in characters: the first lines of a stack. */
const MAX_MESSAGE = 400

/**
 * Runs it in a process and an empty database of its own, which are gone when this ends, at the signal as well. Never
 * rejects: a case that fails is a result.
 */
export async function runTrial(
  trial: Trial,
  { url }: Pick<Server, 'url'>,
  redisUrl: string | null,
  interrupted: AbortSignal,
): Promise<TrialReply> {
  try {
    await using database = await createDatabase({ url })
    interrupted.throwIfAborted()
    const place = { url: database.url, adminUrl: url, redisUrl }
    await using child = startWorker(new URL('./child.ts', import.meta.url), {
      args: [JSON.stringify(trial), JSON.stringify(place)],
    })
    const end = () => child.kill()
    interrupted.addEventListener('abort', end, { once: true })
    try {
      return await child.next<TrialReply>(() => true, { withinMs: trial.withinMs })
    } finally {
      interrupted.removeEventListener('abort', end)
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', message: message.replaceAll(/\s+/g, ' ').slice(0, MAX_MESSAGE) }
  }
}
