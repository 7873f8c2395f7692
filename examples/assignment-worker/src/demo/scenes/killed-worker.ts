import { sql } from 'kysely'
import { ASSIGNMENTS_PER_POLICY as ALL } from '../provider.ts'
import { LEASE_MS, type Policy, type Stage } from '../stage.ts'
import { endOf, neverEnded, type Scene } from './scene.ts'

/** pg-boss takes a job for lost after this; it is its own limit for a handler, too. */
const EXPIRE_SECONDS = 3

/** Sends a fetch and kills the worker that executes it, with some pages done and others to come. */
async function killInMidRun(stage: Stage, policy: Policy, options = {}) {
  const { provider, happenings, crew, board, draw, send, job } = stage
  using hold = provider.hold(`GET /policies/${policy}/assignments?page=4`)
  const since = happenings.mark()
  const sent = await send('fetch', job(policy), options)
  const { worker, message } = await happenings.next(since, ['opsledger:run.admitted'])
  await hold.reached
  await crew.kill(worker)
  board.killed(message)
  const { code, signal } = await worker.exited
  draw.detail(`worker ${worker.pid} is gone: ${signal ?? `code ${code}`}`)
  return { sent, worker, signal }
}

/** The process behind a worker of the ledger, by its lease. */
async function processOf({ db }: Stage, workerId: string | null | undefined): Promise<number | undefined> {
  const { rows } = await sql<{ pid: number }>`
    select pid from opsledger.worker_lease where id = ${workerId ?? null}`.execute(db)
  return rows[0]?.pid
}

export const takeover: Scene = {
  shows: 'a worker killed in mid-run is survived: another one takes its job over',
  async play(stage, expect) {
    const { crew, ended, runsOf } = stage
    const { sent, worker, signal } = await killInMidRun(stage, 'takeover', {
      expireInSeconds: EXPIRE_SECONDS,
    })
    expect('how the worker ended', signal, 'SIGKILL')
    const [delivered] = await Promise.all([ended('fetch', sent), crew.hire()])

    const runs = await runsOf('assignment.fetch', 'takeover')
    expect('runs', runs.map(endOf), [{ outcome: 'succeeded', attempt: 2, counts: [ALL, ALL, 0] }])
    const { outcome, counts } = runs[0]?.pastAttempts[0] ?? {}
    expect('the attempt that was killed', { outcome, counts }, { outcome: 'lost', counts: null })
    const before = await processOf(stage, runs[0]?.pastAttempts[0]?.workerId)
    const after = await processOf(stage, runs[0]?.workerId)
    expect('whose that was', before, worker.pid)
    expect('another worker executed after it', after !== undefined && after !== worker.pid, true)
    expect('the job', [delivered.state, delivered.retryCount], ['completed', 1])
  },
}

export const lostRun: Scene = {
  shows: 'reconcile closes the run that a lost worker left open, and the sessions nobody ended',
  async play(stage, expect) {
    const { boss, db, provider, guard, operations, ledger, workspaceId, send, ended, job, runsOf } = stage
    const { sent } = await killInMidRun(stage, 'orphan')
    const [left] = await runsOf('assignment.fetch', 'orphan')
    expect('the run before', left?.status, 'running')
    const before = await neverEnded(stage)
    const ofRun = before.filter(({ runId }) => runId === left?.id).map(({ id }) => id)
    expect('its session before', [ofRun.length, provider.openSessions().includes(ofRun[0]!)], [1, true])
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
      counts: [before.length, before.length, 0],
    })
    const { ended_by } = await db
      .selectFrom('adapter_runs')
      .select('ended_by')
      .where('id', '=', ofRun[0]!)
      .executeTakeFirstOrThrow()
    expect('who ended its session', ended_by, 'reconcile')
    expect('sessions left', [await neverEnded(stage), provider.openSessions()], [[], []])
    const [waiting] = await boss.findJobs('assignment-fetch', { id: sent })
    expect('its job, which pg-boss will deliver again some day', waiting?.state, 'active')
  },
}
