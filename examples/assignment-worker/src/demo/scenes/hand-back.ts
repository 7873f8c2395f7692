import { sql } from 'kysely'
import type { Scene } from './scene.ts'

export const handBack: Scene = {
  shows: 'workers that are told to stop hand back what they do, and end by themselves',
  async play(stage, expect) {
    const { provider, happenings, crew, boss, db, send, job, runsOf } = stage
    using hold = provider.hold('GET /policies/handover/assignments?page=4')
    const since = happenings.mark()
    const sent = await send('fetch', job('handover'))
    const { worker } = await happenings.next(since, ['opsledger:run.admitted'])
    await hold.reached
    const endings = await crew.sendHome()

    const pids = endings.map(({ pid }) => pid)
    expect('the worker that executed is among them', pids.includes(worker.pid), true)
    expect(
      'how they ended',
      endings,
      pids.map((pid) => ({ pid, code: 0, signal: null })),
    )
    const [run] = await runsOf('assignment.fetch', 'handover')
    expect('the run', [run?.status, run?.attempt, run?.reasonCode], ['retrying', 1, 'worker.shutdown'])
    const [handedBack] = await boss.findJobs('assignment-fetch', { id: sent })
    expect('its job, for the next worker', handedBack?.state, 'retry')
    const sessions = await db
      .selectFrom('adapter_runs')
      .select('ended_by')
      .where('run_id', '=', run!.id)
      .execute()
    expect('who ended its session', sessions, [{ ended_by: 'worker' }])
    const { rows: leases } = await sql<{ pid: number; is_retired: boolean }>`
      select pid, bool_and(retired_at is not null) as is_retired from opsledger.worker_lease
      where pid = any(${pids}) group by pid`.execute(db)
    expect(
      'leases they left',
      leases.filter(({ is_retired }) => !is_retired),
      [],
    )
    expect(
      'the lease it had',
      leases.some(({ pid }) => pid === worker.pid),
      true,
    )
  },
}
