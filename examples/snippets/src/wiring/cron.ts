// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { strict as assert } from 'node:assert'
import '../migrated.ts'

const closed: string[] = []
async function closeAdapterRun(runId: string) {
  closed.push(runId)
}

// #region tick
import { guard, ledger } from './operations.ts'

const reconcile = ledger.systemJob({
  type: 'ops.reconcile_adapter_runs',
  workspaceId: (job: { workspaceId: string }) => job.workspaceId,
  guard,
  async handler({ payload, counts }) {
    for (const lost of await ledger.sweep({ workspaceId: payload.workspaceId })) {
      await closeAdapterRun(lost.id)
      counts.itemSucceeded()
    }
  },
})

/** Called by cron on every machine, with the minute that it was due. */
async function tick(dueAt: Date) {
  const delivery = { id: `reconcile ${dueAt.toISOString()}`, attempt: 1, maxAttempts: 1 }
  return reconcile({ workspaceId: 'acme' }, delivery)
}
// #endregion

const dueAt = new Date('2026-01-01T00:00:00Z')
const both = await Promise.all([tick(dueAt), tick(dueAt)])
assert.equal(both.filter(({ executed }) => executed).length, 1)
const late = await tick(dueAt)
assert.equal(!late.executed && late.reason, 'already_terminal')
assert.equal((await tick(new Date('2026-01-01T00:01:00Z'))).executed, true)
await ledger.close()
