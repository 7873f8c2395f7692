// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { type FetchJob, provider, save } from './host.ts'

// #region operations
import { createLedger } from '@opsledger/core'
import { createGuard, fingerprint } from '@opsledger/dedupe'

export const ledger = createLedger({ connection: process.env.DATABASE_URL })
export const guard = createGuard(ledger)

export const fetchAssignments = ledger.operation({
  type: 'assignment.fetch',
  scope: (job: FetchJob) => ({ workspaceId: job.workspaceId, tenantId: job.tenantId }),
  fingerprint: fingerprint(['policyId']), // the same tenant, type and policy is the same work
  guard,
  async handler({ payload, counts, signal }) {
    for await (const assignment of provider.assignments(payload.policyId, { signal })) {
      await save(assignment)
      counts.itemSucceeded()
    }
  },
})
// #endregion
