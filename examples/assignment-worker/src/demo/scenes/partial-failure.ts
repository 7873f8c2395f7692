import { REMOVED_PER_ARCHIVE } from '../../app/seed.config.ts'
import { endOf, type Scene } from './scene.ts'

const GONE = ['archive-3', 'archive-7']
const REFUSED = ['archive-9']

export const partialFailure: Scene = {
  shows: 'a partial failure keeps what succeeded and says what failed',
  async play({ provider, scope, db, send, ended, job, runsOf }, expect) {
    const answer = (id: string, status: number, error: string) =>
      provider.script(`POST /assignments/${id}/restore`, { status, body: { error } })
    for (const id of GONE) answer(id, 410, 'deleted for good')
    for (const id of REFUSED) answer(id, 422, 'not assignable')
    const delivered = await ended('restore', await send('restore', job('archive')))

    const runs = await runsOf('assignment.restore', 'archive')
    const all = REMOVED_PER_ARCHIVE
    expect('runs', runs.map(endOf), [{ outcome: 'partially_succeeded', attempt: 1, counts: [all, all, 3] }])
    expect('failed items', runs[0]?.itemFailures, { 'assignment.gone': 2, 'assignment.refused': 1 })
    expect('the job', delivered.state, 'completed')
    const removed = db.selectFrom('assignments').select('external_id').where('state', '=', 'removed')
    const left = await removed.where('tenant_id', '=', scope.tenantId).orderBy('external_id').execute()
    expect(
      'assignments that are still removed',
      left.map((row) => row.external_id),
      [...GONE, ...REFUSED],
    )
    const elsewhere = await removed.where('tenant_id', '!=', scope.tenantId).execute()
    expect('those of the three other tenants', elsewhere.length, 3 * all)
  },
}
