import { endOf, type Scene, untilBothAnswered } from './scene.ts'

export const twoReconciles: Scene = {
  shows: 'of two reconcile jobs at once one is skipped, and its run points to the other',
  async play(stage, expect) {
    const { provider, happenings, ledger, workspaceId, send, ended } = stage
    using hold = provider.hold('GET /adapter-runs')
    const since = happenings.mark()
    const sent = [await send('reconcile', { workspaceId }), await send('reconcile', { workspaceId })]
    const firstRunId = await untilBothAnswered(stage, since, 'ops.reconcile_adapter_runs')
    hold.release()
    await Promise.all(sent.map((id) => ended('reconcile', id)))

    const { runs } = await ledger.list({ workspaceId }, { type: 'ops.reconcile_adapter_runs' })
    const executed = runs.find(({ id }) => id === firstRunId)
    const [skipped, ...others] = runs.filter((run) => run !== executed)
    expect('other runs', others.length, 0)
    expect('the first', endOf(executed), { outcome: 'succeeded', attempt: 1, counts: [0, 0, 0] })
    expect('the second', endOf(skipped), { outcome: 'skipped', attempt: 0, counts: [0, 0, 0] })
    expect('why', [skipped?.reasonCode, skipped?.canonicalRunId], ['run.overlap', executed?.id])
  },
}
