/** Stand-ins for what the host of the wiring snippets has. */
export interface FetchJob {
  workspaceId: string
  tenantId: string
  policyId: string
}

export const provider = {
  async *assignments(policyId: string, { signal }: { signal?: AbortSignal } = {}) {
    for (const name of ['first', 'second', 'third']) {
      signal?.throwIfAborted()
      yield { policyId, name }
    }
  },
}

export const saved: string[] = []

export async function save({ policyId, name }: { policyId: string; name: string }): Promise<void> {
  if (policyId === 'gone') throw new Error('The policy is gone')
  saved.push(`${policyId} ${name}`)
}

/** Once per snippet; a policy of its own keeps it out of another snippet's cooldown. */
export const jobOf = (policyId: string): FetchJob => ({ workspaceId: 'acme', tenantId: 'berlin', policyId })
