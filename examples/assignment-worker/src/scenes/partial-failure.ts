import { REMOVED } from '../seed.ts'
import { endOf, type Scene } from './scene.ts'

export const partialFailure: Scene = {
  shows: 'a partial failure keeps what succeeded and says what failed',
  async play({ provider, scope, db, send, ended, job, runsOf }, expect) {
    for (const id of ['archive-3', 'archive-7']) {
      provider.script(`POST /assignments/${id}/restore`, { status: 410, body: { error: 'deleted for good' } })
    }
    provider.script('POST /assignments/archive-9/restore', { status: 422, body: { error: 'not assignable' } })
    const delivered = await ended('restore', await send('restore', job('archive')))

    const runs = await runsOf('assignment.restore', 'archive')
    const all = REMOVED.length
    expect('runs', runs.map(endOf), [{ outcome: 'partially_succeeded', attempt: 1, counts: [all, all, 3] }])
    expect('failed items', runs[0]?.itemFailures, { 'assignment.gone': 2, 'assignment.refused': 1 })
    expect('the job', delivered.state, 'completed')
    const restored = await db
      .selectFrom('assignments')
      .select('external_id')
      .where('tenant_id', '=', scope.tenantId!)
      .where('policy', '=', 'archive')
      .where('state', '=', 'active')
      .execute()
    expect('restored assignments', restored.length, all - 3)
  },
}
