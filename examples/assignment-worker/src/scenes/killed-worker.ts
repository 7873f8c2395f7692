import { ASSIGNMENTS_PER_POLICY as ALL } from '../provider.ts'
import type { Policy } from '../seed.ts'
import { LEASE_MS, type Stage } from '../stage.ts'
import { endOf, type Scene } from './scene.ts'

/** pg-boss takes a job for lost after this; it is its own limit for a handler, too. */
const EXPIRE_SECONDS = 3

/** Sends a fetch and kills the worker that executes it, with some pages done and others to come. */
async function killInMidRun({ provider, happenings, draw, send, job }: Stage, policy: Policy, options = {}) {
  using hold = provider.hold(`GET /policies/${policy}/assignments?page=4`)
  const since = happenings.mark()
  const sent = await send('fetch', job(policy), options)
  const { worker } = await happenings.next(since, ['opsledger:run.admitted'])
  await hold.reached
  const { signal } = await worker.kill('SIGKILL')
  draw.detail(`worker ${worker.pid} is gone: ${signal}`)
  return { sent, worker, signal }
}

export const takeover: Scene = {
  shows: 'a worker killed in mid-run is survived: another one takes its job over',
  async play(stage, expect) {
    const { happenings, crew, ended, runsOf } = stage
    const { sent, worker, signal } = await killInMidRun(stage, 'takeover', {
      expireInSeconds: EXPIRE_SECONDS,
    })
    expect('how the worker ended', signal, 'SIGKILL')
    const since = happenings.mark()
    const [delivered] = await Promise.all([ended('fetch', sent), crew.hire()])

    const runs = await runsOf('assignment.fetch', 'takeover')
    expect('runs', runs.map(endOf), [{ outcome: 'succeeded', attempt: 2, counts: [ALL, ALL, 0] }])
    const { outcome, counts } = runs[0]?.pastAttempts[0] ?? {}
    expect('the attempt that was killed', { outcome, counts }, { outcome: 'lost', counts: null })
    const next = await happenings.next(since, ['opsledger:run.admitted'])
    expect('another worker', [next.message.runId, next.worker.pid !== worker.pid], [runs[0]?.id, true])
    expect('the job', [delivered.state, delivered.retryCount], ['completed', 1])
  },
}

export const lostRun: Scene = {
  shows: 'reconcile closes the run that a lost worker left open',
  async play(stage, expect) {
    const { boss, db, guard, operations, ledger, workspaceId, send, ended, job, runsOf } = stage
    const { sent } = await killInMidRun(stage, 'orphan')
    const [left] = await runsOf('assignment.fetch', 'orphan')
    expect('before', left?.status, 'running')
    // Its lease runs out within this.
    const reconcileJob = await send('reconcile', { workspaceId }, { startAfter: LEASE_MS / 1_000 })
    const { output } = await ended('reconcile', reconcileJob)

    const [run] = await runsOf('assignment.fetch', 'orphan')
    expect('how the run ended', endOf(run), { outcome: 'failed', attempt: 1, counts: [0, 0, 0] })
    expect('the reason', run?.reasonCode, 'worker.lost')
    const explained = await guard.explain(operations.fetch.identify(job('orphan')))
    expect('the work is free at once, without a cooldown', explained.state, 'free')
    const reconciled = await ledger.get({ workspaceId }, output.run!)
    expect('the reconcile run', endOf(reconciled ?? undefined), {
      outcome: 'succeeded',
      attempt: 1,
      counts: [1, 1, 0],
    })
    const sessions = await db.selectFrom('adapter_runs').select(['run_id', 'state']).execute()
    expect(
      'sessions at the provider that nobody closed',
      sessions.filter(({ state }) => state !== 'closed'),
      [{ run_id: run?.id, state: 'lost' }],
    )
    const [waiting] = await boss.findJobs('assignment-fetch', { id: sent })
    expect('its job, which pg-boss will deliver again some day', waiting?.state, 'active')
  },
}
