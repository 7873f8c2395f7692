import type { Run } from '@opsledger/core'
import type { Kysely } from 'kysely'
import type { HostTables } from './host-schema.ts'
import type { ProviderClient } from './provider-client.ts'

export interface AdapterRuns {
  /** Keeps a session at the provider open while `work` runs. Only a worker that dies leaves one behind. */
  during<T>(run: Run, signal: AbortSignal, work: () => Promise<T>): Promise<T>
  /** Tidies up after a run that ended without closing its session. */
  closeLost(runId: string): Promise<void>
}

export function createAdapterRuns(db: Kysely<HostTables>, provider: ProviderClient): AdapterRuns {
  const close = async (runId: string, state: 'closed' | 'lost') => {
    await provider.closeAdapterRun(runId)
    await db.updateTable('adapter_runs').set({ state }).where('run_id', '=', runId).execute()
  }
  return {
    async during(run, signal, work) {
      await db
        .insertInto('adapter_runs')
        .values({ run_id: run.id, workspace_id: run.scope.workspaceId, tenant_id: run.scope.tenantId! })
        .onConflict((conflict) => conflict.column('run_id').doUpdateSet({ state: 'open' }))
        .execute()
      await provider.openAdapterRun(run.id, signal)
      try {
        return await work()
      } finally {
        await close(run.id, 'closed')
      }
    },
    closeLost: (runId) => close(runId, 'lost'),
  }
}
