import type { HandlerContext } from '@opsledger/core'
import type { AdapterRuns } from './adapter-runs.ts'
import type { Assignments, PolicyKey } from './assignments.ts'
import type { ProviderClient } from './provider-client.ts'

interface Needs {
  readonly provider: ProviderClient
  readonly assignments: Assignments
  readonly adapterRuns: AdapterRuns
}

/** Copies a policy's assignments from the provider, page by page; one without a target does not stop the others. */
export function fetchAssignments({ provider, assignments, adapterRuns }: Needs) {
  return (attempt: HandlerContext<PolicyKey>): Promise<void> =>
    adapterRuns.during(attempt, async () => {
      const { payload, fence, signal, counts } = attempt
      for (let next: number | null = 1; next !== null; ) {
        const { total, items, nextPage } = await provider.assignments(payload.policy, next, signal)
        counts.setTotal(total)
        for (const { id, target } of items) {
          if (target === null) {
            counts.itemFailed('assignment.no_target')
            continue
          }
          await assignments.save(payload, { id, target }, fence)
          counts.itemSucceeded()
        }
        next = nextPage
      }
    })
}
