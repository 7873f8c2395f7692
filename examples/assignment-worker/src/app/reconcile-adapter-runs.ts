import type { HandlerContext, Ledger } from '@opsledger/core'
import type { AdapterRuns, OpenAdapterRun } from './adapter-runs.ts'
import { ProviderError } from './provider-client.ts'

interface Needs {
  readonly ledger: Pick<Ledger, 'sweep' | 'acrossTenants'>
  readonly adapterRuns: AdapterRuns
}

/** Closes the runs of lost workers, then ends the sessions that nobody will end any more. */
export function reconcileAdapterRuns({ ledger, adapterRuns }: Needs) {
  return async ({
    payload: { workspaceId },
    signal,
    counts,
  }: HandlerContext<{ readonly workspaceId: string }>): Promise<void> => {
    /** A session belongs to one attempt: it is in use only while the run executes under the same fence. */
    const isInUse = async ({ runId, fence }: OpenAdapterRun) => {
      const run = await ledger.acrossTenants.get(workspaceId, runId)
      return run?.status === 'running' && run.fence === fence
    }

    await ledger.sweep({ workspaceId })
    const lost: OpenAdapterRun[] = []
    for (const adapterRun of await adapterRuns.neverEnded(workspaceId)) {
      if (!(await isInUse(adapterRun))) lost.push(adapterRun)
    }
    counts.setTotal(lost.length)
    for (const { id } of lost) {
      signal.throwIfAborted()
      try {
        await adapterRuns.end(id, 'reconcile')
        counts.itemSucceeded()
      } catch (error) {
        // One that the provider will not end must not keep the others open; the next reconcile finds it again.
        if (!(error instanceof ProviderError)) throw error
        counts.itemFailed('adapter_run.not_ended')
      }
    }
  }
}
