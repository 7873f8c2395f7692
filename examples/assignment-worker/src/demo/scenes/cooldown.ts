import { ASSIGNMENTS_PER_POLICY as ALL } from '../provider.ts'
import { COOLDOWN_MS } from '../stage.ts'
import { endOf, type Scene } from './scene.ts'

/** The work of the double dispatch, again: too early, and as soon as the cooldown is over. */
export function cooldownScenes(): { tooEarly: Scene; afterwards: Scene } {
  let retryAfterMs = 0
  let nextJob = ''

  const tooEarly: Scene = {
    shows: 'the same work again is refused while it cools down',
    async play({ happenings, guard, operations, send, ended, job, runsOf }, expect) {
      const since = happenings.mark()
      const { output } = await ended('fetch', await send('fetch', job('twice')))
      if (output.skipped === undefined) throw new Error('it was executed')
      const [finished] = await runsOf('assignment.fetch', 'twice')
      expect('what the queue was told', output, { skipped: 'cooldown', run: finished?.id })
      const skip = await happenings.next(since, ['opsledger:run.skipped'])
      retryAfterMs = skip.message.refusal.retryAfterMs
      expect('time to wait is within the cooldown', retryAfterMs > 0 && retryAfterMs <= COOLDOWN_MS, true)
      const explained = await guard.explain(operations.fetch.identify(job('twice')))
      expect('what the guard explains', explained.state, 'cooling')
      nextJob = await send('fetch', job('twice'), { startAfter: retryAfterMs / 1_000 })
    },
  }

  const afterwards: Scene = {
    shows: 'after the cooldown it runs again',
    async play({ draw, ended, runsOf }, expect) {
      if (nextJob === '') throw new Error('it was not refused before')
      draw.detail(`the next job starts after ${retryAfterMs} ms`)
      await ended('fetch', nextJob)
      const [before, after, ...others] = await runsOf('assignment.fetch', 'twice')
      expect('other runs', others.length, 0)
      expect('the second run', endOf(after), { outcome: 'succeeded', attempt: 1, counts: [ALL, ALL, 0] })
      const pauseMs = (after?.startedAt?.getTime() ?? 0) - (before?.completedAt?.getTime() ?? 0)
      expect('it started after the cooldown', pauseMs >= COOLDOWN_MS, true)
    },
  }
  return { tooEarly, afterwards }
}
