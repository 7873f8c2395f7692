import type { HandlerContext } from '@opsledger/core'
import type { AdapterRuns } from './adapter-runs.ts'
import type { Assignments, PolicyKey } from './assignments.ts'
import { type ProviderClient, ProviderError } from './provider-client.ts'

interface Needs {
  readonly provider: ProviderClient
  readonly assignments: Assignments
  readonly adapterRuns: AdapterRuns
}

/** Brings back a policy's removed assignments, one by one; one that cannot be had back does not stop the others. */
export function restoreAssignments({ provider, assignments, adapterRuns }: Needs) {
  return (attempt: HandlerContext<PolicyKey>): Promise<void> =>
    adapterRuns.during(attempt, async () => {
      const { payload, fence, signal, counts } = attempt
      const removed = await assignments.removed(payload)
      counts.setTotal(removed.length)
      for (const id of removed) {
        try {
          await provider.restore(id, signal)
        } catch (error) {
          counts.itemFailed(itemFailureOf(error))
          continue
        }
        await assignments.markRestored(payload, id, fence)
        counts.itemSucceeded()
      }
    })
}

/** @throws what is not about this one item: it ends the attempt */
function itemFailureOf(error: unknown): string {
  if (error instanceof ProviderError && error.status === 410) return 'assignment.gone'
  if (error instanceof ProviderError && error.status === 422) return 'assignment.refused'
  throw error
}
