// #region restore-operation
import type { Ledger } from '@opsledger/core'
import { type DedupeGuard, fingerprint } from '@opsledger/dedupe'

interface RestoreJob {
  workspaceId: string
  tenantId: string
  assignmentIds: string[]
}

interface Provider {
  /** False when the provider does not have it any more. */
  restore(assignmentId: string): Promise<boolean>
}

/** The worker makes it with the real provider, the unit test with a stand-in. */
export const restoreOperation = (ledger: Ledger, guard: DedupeGuard, provider: Provider) =>
  ledger.operation({
    type: 'assignment.restore',
    scope: (job: RestoreJob) => ({ workspaceId: job.workspaceId, tenantId: job.tenantId }),
    fingerprint: fingerprint(['assignmentIds']),
    guard,
    async handler({ payload, counts }) {
      counts.setTotal(payload.assignmentIds.length)
      for (const id of payload.assignmentIds) {
        if (await provider.restore(id)) counts.itemSucceeded()
        else counts.itemFailed('provider.not_found')
      }
    },
  })
// #endregion
