import { ASSIGNMENTS_PER_POLICY as ALL } from '../provider.ts'
import { endOf, type Scene, untilBothAnswered } from './scene.ts'

export const doubleDispatch: Scene = {
  shows: 'a double dispatch runs once',
  async play(stage, expect) {
    const { provider, happenings, db, scope, send, ended, job, runsOf } = stage
    using hold = provider.hold('GET /policies/twice/assignments?page=2')
    const since = happenings.mark()
    const sent = [await send('fetch', job('twice')), await send('fetch', job('twice'))]
    await untilBothAnswered(stage, since, 'assignment.fetch')
    hold.release()

    const outputs = (await Promise.all(sent.map((id) => ended('fetch', id)))).map(({ output }) => output)
    const runs = await runsOf('assignment.fetch', 'twice')
    expect('runs', runs.map(endOf), [{ outcome: 'succeeded', attempt: 1, counts: [ALL, ALL, 0] }])
    const answers = outputs.map(({ skipped }) => skipped ?? 'executed').sort()
    expect('what the queue was told of the two jobs', answers, ['executed', 'overlap'])
    const pointedTo = outputs.map(({ run }) => run)
    expect('the run that both name', pointedTo, [runs[0]?.id, runs[0]?.id])
    const saved = await db
      .selectFrom('assignments')
      .select('fence')
      .where('tenant_id', '=', scope.tenantId)
      .where('policy', '=', 'twice')
      .execute()
    expect('assignments that were saved', saved.length, ALL)
    expect('fences they carry', [...new Set(saved.map(({ fence }) => Number(fence)))], [runs[0]?.fence])
    expect('requests for page 1', provider.requestsAt('GET /policies/twice/assignments?page=1').length, 1)
  },
}
