import { endOf, neverEnded, type Scene, untilBothAnswered } from './scene.ts'

/** The seed leaves one to each of the two tenants of a workspace. */
const SEEDED = 2

export const twoReconciles: Scene = {
  shows: 'of two reconcile jobs at once one is skipped, and its run points to the other',
  async play(stage, expect) {
    const { provider, happenings, db, ledger, workspaceId, send, ended } = stage
    const lost = await neverEnded(stage)
    expect('adapter runs that never ended', lost.length, SEEDED)
    using hold = provider.hold(`DELETE /adapter-runs/${lost[0]?.id}`)
    const since = happenings.mark()
    const sent = [await send('reconcile', { workspaceId }), await send('reconcile', { workspaceId })]
    const firstRunId = await untilBothAnswered(stage, since, 'ops.reconcile_adapter_runs')
    hold.release()
    await Promise.all(sent.map((id) => ended('reconcile', id)))

    const { runs } = await ledger.list({ workspaceId }, { type: 'ops.reconcile_adapter_runs' })
    const executed = runs.find(({ id }) => id === firstRunId)
    const [skipped, ...others] = runs.filter((run) => run !== executed)
    expect('other runs', others.length, 0)
    expect('the first', endOf(executed), { outcome: 'succeeded', attempt: 1, counts: [SEEDED, SEEDED, 0] })
    expect('the second', endOf(skipped), { outcome: 'skipped', attempt: 0, counts: [0, 0, 0] })
    expect('why', [skipped?.reasonCode, skipped?.canonicalRunId], ['run.overlap', executed?.id])
    expect('adapter runs left', await neverEnded(stage), [])
    const elsewhere = await db
      .selectFrom('adapter_runs')
      .select('id')
      .where('workspace_id', '!=', workspaceId)
      .where('ended_at', 'is', null)
      .execute()
    expect('those of the other workspace', elsewhere.length, SEEDED)
  },
}
