import type { Guard, Ledger } from '@opsledger/core'
import { fingerprint } from '@opsledger/dedupe'
import type { Kysely } from 'kysely'
import { createAdapterRuns } from './adapter-runs.ts'
import { createAssignments, type PolicyKey } from './assignments.ts'
import { fetchAssignments } from './fetch-assignments.ts'
import type { HostTables } from './host-schema.ts'
import type { ProviderClient } from './provider-client.ts'
import { reconcileAdapterRuns } from './reconcile-adapter-runs.ts'
import { restoreAssignments } from './restore-assignments.ts'

/** What the queue carries for a fetch or a restore. */
export interface PolicyJob extends PolicyKey {
  readonly workspaceId: string
  /** Of the run that the dispatcher opened, when it opened one. */
  readonly runId?: string
}

export interface ReconcileJob {
  readonly workspaceId: string
}

export interface Wiring {
  readonly ledger: Ledger
  readonly guard: Guard
  readonly db: Kysely<HostTables>
  readonly provider: ProviderClient
}

export type Operations = ReturnType<typeof createOperations>

/** The three handlers of this worker, each wrapped once. */
export function createOperations({ ledger, guard, db, provider }: Wiring) {
  const assignments = createAssignments(db)
  const adapterRuns = createAdapterRuns(db, provider)
  const policyWork = {
    scope: ({ workspaceId, tenantId }: PolicyJob) => ({ workspaceId, tenantId }),
    runId: ({ runId }: PolicyJob) => runId,
    fingerprint: fingerprint<PolicyJob>(['policy']),
    context: ({ policy }: PolicyJob) => ({ policy }),
    guard,
  }
  return {
    fetch: ledger.operation({
      ...policyWork,
      type: 'assignment.fetch',
      handler: fetchAssignments({ provider, assignments, adapterRuns }),
    }),
    restore: ledger.operation({
      ...policyWork,
      type: 'assignment.restore',
      handler: restoreAssignments({ provider, assignments, adapterRuns }),
    }),
    reconcile: ledger.systemJob({
      type: 'ops.reconcile_adapter_runs',
      workspaceId: ({ workspaceId }: ReconcileJob) => workspaceId,
      guard,
      handler: reconcileAdapterRuns({ ledger, adapterRuns }),
    }),
  }
}
