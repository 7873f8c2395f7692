import { strict as assert } from 'node:assert'
import { createLedger, type Run, type SkipReason } from '@opsledger/core'
import {
  canonicalJson,
  createGuard,
  type DedupeGuard,
  type Explanation,
  fingerprint,
  type ProtectVerdict,
} from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'

/** A host with the guard: executed once, refused while it cools down, and read afterwards. */
interface Fetch {
  workspaceId: string
  tenantId: string
  policyId: string
}

assert.equal(migrations.package, 'dedupe')
assert.equal(canonicalJson({ b: 1, a: 2 }), '{"a":2,"b":1}')

await using ledger = createLedger({ connection: process.env.DATABASE_URL })
const guard: DedupeGuard = createGuard(ledger, { exclusion: 'session', cooldownMs: 60_000 })
const fetchAssignments = ledger.operation({
  type: 'assignment.fetch',
  scope: ({ workspaceId, tenantId }: Fetch) => ({ workspaceId, tenantId }),
  fingerprint: fingerprint(['policyId']),
  guard,
  async handler({ payload, counts, fence }) {
    assert.ok(fence > 0)
    counts.itemSucceeded(3)
    return payload.policyId
  },
})
const payload: Fetch = { workspaceId: 'acme', tenantId: 'berlin', policyId: 'p-1' }

const first = await fetchAssignments(payload, { id: '1', attempt: 1, maxAttempts: 3 })
assert.ok(first.executed)
const value: string = first.value
assert.equal(value, 'p-1')

const second = await fetchAssignments(payload, { id: '2', attempt: 1, maxAttempts: 3 })
assert.ok(!second.executed)
const reason: SkipReason = second.reason
assert.equal(reason, 'cooldown')
assert.equal(second.action, 'discard')
assert.ok(second.retryAfterMs > 0)

const scope = { workspaceId: 'acme', tenantId: 'berlin' }
const { runs } = await ledger.list(scope, { type: 'assignment.fetch' })
const run: Run | undefined = runs.find(({ id }) => id === first.run.id)
assert.equal(run?.outcome, 'succeeded')
assert.deepEqual(run?.counts, { total: 3, processed: 3, failed: 0 })
const explanation: Explanation = await guard.explain(fetchAssignments.identify(payload))
assert.ok(explanation)
assert.equal(await guard.release(fetchAssignments.identify(payload)), 1)

const reconcile = ledger.systemJob({
  type: 'ops.reconcile_adapter_runs',
  workspaceId: (workspaceId: string) => workspaceId,
  guard,
  handler: () => 'reconciled' as const,
})
const reconciled = await reconcile('acme', { id: '3', attempt: 1, maxAttempts: 1 })
assert.ok(reconciled.executed && reconciled.value === 'reconciled')

const ping = guard.protect({
  type: 'ping',
  scope: (workspaceId: string) => ({ workspaceId }),
  fingerprint: () => 'ping',
  handler: () => 1,
})
const pinged: ProtectVerdict<number> = await ping('acme', { id: '4', attempt: 1, maxAttempts: 1 })
assert.ok(pinged.executed)
await ledger.sweep()
console.log('executed, then refused for its cooldown, and read')
