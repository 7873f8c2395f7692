import { strict as assert } from 'node:assert'
import { subscribe } from 'node:diagnostics_channel'
import { createLedger, type LedgerEvents, migrate, OperationError } from '@opsledger/core'
import { createGuard, fingerprint } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'

const connection = process.env.DATABASE_URL
await migrate({ connection, with: [migrations] })
const ledger = createLedger({ connection })
const guard = createGuard(ledger)

interface RestoreJob {
  workspaceId: string
  tenantId: string
  assignmentId: string
  runId?: string
}

// stand-ins for what the host has
const metrics = { record(_name: string, _durationMs: number, _labels: object) {} }
const queue = { async add(_job: RestoreJob) {} }
async function closeAdapterRun(_runId: string) {}

const restore = ledger.operation({
  type: 'assignment.restore',
  scope: (job: RestoreJob) => ({ workspaceId: job.workspaceId, tenantId: job.tenantId }),
  runId: (job) => job.runId,
  fingerprint: fingerprint(['assignmentId']),
  guard,
  handler({ counts }) {
    counts.setTotal(1)
    counts.itemSucceeded()
  },
})

// #region events
subscribe('opsledger:run.settled', (message) => {
  const { type, attempt, settlement, durationMs } = message as LedgerEvents['opsledger:run.settled']
  metrics.record(`${type} ${settlement.outcome}`, durationMs, { attempt, reason: settlement.reasonCode })
})
// #endregion

// #region open
const payload = { workspaceId: 'acme', tenantId: 'berlin', assignmentId: 'a-1' }
const { run, state } = await restore.open(payload) // the one open run of this work, whoever dispatches it
if (state === 'opened') await queue.add({ ...payload, runId: run.id })
// #endregion

// #region reconcile
const reconcile = ledger.systemJob({
  type: 'ops.reconcile_adapter_runs',
  workspaceId: (job: { workspaceId: string }) => job.workspaceId,
  guard,
  async handler({ payload, counts }) {
    const swept = await ledger.sweep({ workspaceId: payload.workspaceId })
    for (const lost of swept) {
      await closeAdapterRun(lost.id)
      counts.itemSucceeded()
    }
  },
})
// #endregion

const verdict = await restore({ ...payload, runId: run.id }, { id: 'd-1', attempt: 1, maxAttempts: 3 })
assert.equal(verdict.executed, true)
await reconcile({ workspaceId: 'acme' }, { id: 'r-1', attempt: 1, maxAttempts: 1 })

// #region explain
const job = restore.identify(payload)
const explanation = await guard.explain(job) // who stands in the way, since when, until when, and why
if (explanation.state === 'cooling') await guard.release(job) // an operator lets it run again now
// #endregion
assert.equal(explanation.state, 'cooling')
assert.equal((await guard.explain(job)).state, 'free')

// #region failure
const refusing = ledger.operation({
  type: 'assignment.refuse',
  scope: (job: RestoreJob) => ({ workspaceId: job.workspaceId, tenantId: job.tenantId }),
  fingerprint: fingerprint(['assignmentId']),
  guard,
  handler() {
    throw new OperationError('policy.archived', 'The policy was archived', { permanent: true })
  },
})
// #endregion
await assert.rejects(refusing(payload, { id: 'd-2', attempt: 1, maxAttempts: 3 }), OperationError)
const { runs } = await ledger.list({ workspaceId: 'acme', tenantId: 'berlin' }, { outcome: 'failed' })
assert.equal(runs[0]?.reasonCode, 'policy.archived')

// #region reads
const tenant = { workspaceId: 'acme', tenantId: 'berlin' }
const since = new Date(Date.now() - 24 * 60 * 60 * 1_000)
const page = await ledger.list(tenant, { outcome: 'failed', createdAfter: since })
const next = page.nextCursor && (await ledger.list(tenant, { outcome: 'failed', cursor: page.nextCursor }))
const waiting = await ledger.openRuns(tenant, { type: 'assignment.restore' })
const everywhere = await ledger.acrossTenants.list('acme', { type: 'assignment.restore' })
// #endregion
assert.equal(page.runs.length, 1)
assert.equal(next, null)
assert.deepEqual(waiting, [])
assert.equal(everywhere.runs.length, 1)

// #region housekeeping
const dayMs = 24 * 60 * 60 * 1000
await ledger.sweep() // runs whose worker or whose delivery is gone
await ledger.prune({ runsOlderThanMs: 90 * dayMs }) // history; cooldowns are kept apart from it
await ledger.close({ withinMs: 10_000 }) // on SIGTERM, after the queue worker has stopped taking jobs
// #endregion
