import type { Guard, Ledger } from '@opsledger/core'
import { fingerprint } from '@opsledger/dedupe'
import type { Kysely } from 'kysely'
import { createAdapterRuns } from './adapter-runs.ts'
import type { HostTables } from './host-schema.ts'
import { type ProviderClient, ProviderError } from './provider-client.ts'

/** What the queue carries for a fetch or a restore. */
export interface PolicyJob {
  readonly workspaceId: string
  readonly tenantId: string
  readonly policy: string
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
  const adapterRuns = createAdapterRuns(db, provider)
  const policyWork = {
    scope: ({ workspaceId, tenantId }: PolicyJob) => ({ workspaceId, tenantId }),
    runId: ({ runId }: PolicyJob) => runId,
    fingerprint: fingerprint<PolicyJob>(['policy']),
    context: ({ policy }: PolicyJob) => ({ policy }),
    guard,
  }

  /** Copies a policy's assignments from the provider, page by page. */
  const fetch = ledger.operation({
    ...policyWork,
    type: 'assignment.fetch',
    handler: ({ payload: { tenantId, policy }, run, fence, signal, counts }) =>
      adapterRuns.during(run, signal, async () => {
        for (let next: number | null = 1; next !== null; ) {
          const { total, items, nextPage } = await provider.assignments(policy, next, signal)
          counts.setTotal(total)
          for (const { id, target } of items) {
            if (target === null) {
              counts.itemFailed('assignment.no_target')
              continue
            }
            await db
              .insertInto('assignments')
              .values({ tenant_id: tenantId, policy, external_id: id, target, fence })
              .onConflict((conflict) =>
                conflict
                  .columns(['tenant_id', 'policy', 'external_id'])
                  .doUpdateSet({ target, state: 'active', fence })
                  .where('assignments.fence', '<=', fence),
              )
              .execute()
            counts.itemSucceeded()
          }
          next = nextPage
        }
      }),
  })

  /** Brings back a policy's removed assignments, one by one; one that cannot be had back does not stop the others. */
  const restore = ledger.operation({
    ...policyWork,
    type: 'assignment.restore',
    handler: ({ payload: { tenantId, policy }, run, fence, signal, counts }) =>
      adapterRuns.during(run, signal, async () => {
        const removed = await db
          .selectFrom('assignments')
          .select('external_id as id')
          .where('tenant_id', '=', tenantId)
          .where('policy', '=', policy)
          .where('state', '=', 'removed')
          .execute()
        counts.setTotal(removed.length)
        for (const { id } of removed) {
          try {
            await provider.restore(id, signal)
          } catch (error) {
            const status = error instanceof ProviderError ? error.status : null
            if (status !== 410 && status !== 422) throw error
            counts.itemFailed(status === 410 ? 'assignment.gone' : 'assignment.refused')
            continue
          }
          await db
            .updateTable('assignments')
            .set({ state: 'active', fence })
            .where('tenant_id', '=', tenantId)
            .where('policy', '=', policy)
            .where('external_id', '=', id)
            .where('fence', '<=', fence)
            .execute()
          counts.itemSucceeded()
        }
      }),
  })

  /** Closes the runs of lost workers, then the sessions they left at the provider. */
  const reconcile = ledger.systemJob({
    type: 'ops.reconcile_adapter_runs',
    workspaceId: ({ workspaceId }: ReconcileJob) => workspaceId,
    guard,
    handler: async ({ payload: { workspaceId }, signal, counts }) => {
      await ledger.sweep({ workspaceId })
      const open = await provider.openAdapterRuns(signal)
      counts.setTotal(open.length)
      for (const runId of open) {
        const run = await ledger.acrossTenants.get(workspaceId, runId)
        if (run?.status === 'completed') await adapterRuns.closeLost(runId)
        counts.itemSucceeded()
      }
    },
  })

  return { fetch, restore, reconcile }
}
