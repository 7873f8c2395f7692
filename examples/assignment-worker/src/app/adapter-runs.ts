import { randomUUID } from 'node:crypto'
import type { HandlerContext } from '@opsledger/core'
import { type Kysely, sql } from 'kysely'
import type { HostTables } from './host-schema.ts'
import type { ProviderClient } from './provider-client.ts'

/** A session at the provider that has not been ended. */
export interface OpenAdapterRun {
  readonly id: string
  readonly runId: string
  /** Of the attempt that opened it: a later attempt of the same run has a session of its own. */
  readonly fence: number
}

export interface AdapterRuns {
  /** Keeps a session at the provider open while `work` runs. A worker that is killed leaves it behind. */
  during<T>(
    attempt: Pick<HandlerContext<unknown>, 'run' | 'fence' | 'signal'>,
    work: () => Promise<T>,
  ): Promise<T>
  /** Oldest first. */
  neverEnded(workspaceId: string): Promise<OpenAdapterRun[]>
  end(id: string, by: 'worker' | 'reconcile'): Promise<void>
}

export function createAdapterRuns(db: Kysely<HostTables>, provider: ProviderClient): AdapterRuns {
  const end: AdapterRuns['end'] = async (id, by) => {
    await provider.closeAdapterRun(id)
    await db
      .updateTable('adapter_runs')
      .set({ ended_at: sql`clock_timestamp()`, ended_by: by })
      .where('id', '=', id)
      .where('ended_at', 'is', null)
      .execute()
  }

  return {
    end,
    async during({ run, fence, signal }, work) {
      const id = randomUUID()
      const { workspaceId, tenantId } = run.scope
      // Noted before it is opened: what is not in the table is never found again.
      await db
        .insertInto('adapter_runs')
        .values({ id, run_id: run.id, fence, workspace_id: workspaceId, tenant_id: tenantId! })
        .execute()
      try {
        await provider.openAdapterRun(id, signal)
        return await work()
      } finally {
        // What cannot be ended now is left to reconcile; it must not hide how the work ended.
        await end(id, 'worker').catch(() => {})
      }
    },
    async neverEnded(workspaceId) {
      const rows = await db
        .selectFrom('adapter_runs')
        .select(['id', 'run_id', 'fence'])
        .where('workspace_id', '=', workspaceId)
        .where('ended_at', 'is', null)
        .orderBy('started_at')
        .orderBy('id')
        .execute()
      return rows.map(({ id, run_id, fence }) => ({ id, runId: run_id, fence: Number(fence) }))
    },
  }
}
