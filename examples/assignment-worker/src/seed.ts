import { randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { HostTables } from './host-schema.ts'

/** One policy per thing the demo shows, named after it. */
const POLICIES = ['twice', 'flaky', 'archive', 'locked', 'takeover', 'orphan'] as const
export type Policy = (typeof POLICIES)[number]

/** Assignments of `archive` that were removed, for the restore to bring back. */
export const REMOVED = Array.from({ length: 10 }, (_, n) => `archive-${n + 1}`)

export interface Seeded {
  readonly workspaceId: string
  readonly tenantId: string
}

export async function seed(db: Kysely<HostTables>): Promise<Seeded> {
  const workspaceId = randomUUID()
  const tenantId = randomUUID()
  await db.insertInto('workspaces').values({ id: workspaceId, name: 'Acme' }).execute()
  await db
    .insertInto('tenants')
    .values({ id: tenantId, external_id: randomUUID(), workspace_id: workspaceId, name: 'North' })
    .execute()
  await db
    .insertInto('policies')
    .values(
      POLICIES.map((policy) => ({ tenant_id: tenantId, external_id: policy, name: `The ${policy} one` })),
    )
    .execute()
  await db
    .insertInto('assignments')
    .values(
      REMOVED.map((id) => ({
        tenant_id: tenantId,
        policy: 'archive',
        external_id: id,
        target: `user-of-${id}`,
        state: 'removed' as const,
      })),
    )
    .execute()
  return { workspaceId, tenantId }
}
