import type { Kysely } from 'kysely'
import type { HostTables } from './host-schema.ts'

/** Which policy of which tenant. */
export interface PolicyKey {
  readonly tenantId: string
  readonly policy: string
}

/** The host's assignments. Each write carries the fence of its attempt and loses against a later one. */
export interface Assignments {
  save(of: PolicyKey, item: { id: string; target: string }, fence: number): Promise<void>
  removed(of: PolicyKey): Promise<string[]>
  markRestored(of: PolicyKey, id: string, fence: number): Promise<void>
}

export function createAssignments(db: Kysely<HostTables>): Assignments {
  return {
    async save({ tenantId, policy }, { id, target }, fence) {
      await db
        .insertInto('assignments')
        .values({ tenant_id: tenantId, policy, external_id: id, target, fence })
        .onConflict((conflict) =>
          conflict
            .columns(['tenant_id', 'policy', 'external_id'])
            .doUpdateSet({ target, state: 'active', fence })
            .where('assignments.fence', '<=', String(fence)),
        )
        .execute()
    },
    async removed({ tenantId, policy }) {
      const rows = await db
        .selectFrom('assignments')
        .select('external_id')
        .where('tenant_id', '=', tenantId)
        .where('policy', '=', policy)
        .where('state', '=', 'removed')
        .orderBy('external_id')
        .execute()
      return rows.map((row) => row.external_id)
    },
    async markRestored({ tenantId, policy }, id, fence) {
      await db
        .updateTable('assignments')
        .set({ state: 'active', fence })
        .where('tenant_id', '=', tenantId)
        .where('policy', '=', policy)
        .where('external_id', '=', id)
        .where('fence', '<=', String(fence))
        .execute()
    },
  }
}
