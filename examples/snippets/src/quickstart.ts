// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { strict as assert } from 'node:assert'
import './migrated.ts'

// #region quickstart
import { createLedger } from '@opsledger/core'
import { createGuard, fingerprint } from '@opsledger/dedupe'

const ledger = createLedger({ connection: process.env.DATABASE_URL })
const fetchAssignments = ledger.operation({
  type: 'assignment.fetch',
  scope: (job: FetchJob) => ({ workspaceId: job.workspaceId, tenantId: job.tenantId }),
  fingerprint: fingerprint(['policyId']), // the same tenant, type and policy is the same work
  guard: createGuard(ledger), // never twice at once, and not again for 15 minutes
  async handler({ payload, counts, signal }) {
    for await (const assignment of provider.assignments(payload.policyId, { signal })) {
      if (await save(assignment)) counts.itemSucceeded()
      else counts.itemFailed('assignment.rejected')
    }
  },
})
// #endregion

// #region worker
async function work(job: QueueJob<FetchJob>) {
  const delivery = { id: job.id, attempt: job.attempt, maxAttempts: job.maxAttempts }
  const verdict = await fetchAssignments(job.data, delivery) // throws what the handler throws
  if (!verdict.executed && verdict.action === 'retry_later') await job.delay(verdict.retryAfterMs)
  return verdict
}
// #endregion

interface FetchJob {
  workspaceId: string
  tenantId: string
  policyId: string
}

interface QueueJob<P> {
  id: string
  data: P
  attempt: number
  maxAttempts: number
  delay(ms: number): Promise<void>
}

const provider = {
  async *assignments(policyId: string, { signal }: { signal: AbortSignal }) {
    for (const name of ['first', 'second', 'broken']) {
      signal.throwIfAborted()
      yield { policyId, name }
    }
  },
}

async function save(assignment: { name: string }): Promise<boolean> {
  return assignment.name !== 'broken'
}

const data = { workspaceId: 'acme', tenantId: 'berlin', policyId: 'p-1' }
const job = (id: string) => ({ id, data, attempt: 1, maxAttempts: 3, delay: async () => {} })

const first = await work(job('1'))
assert.equal(first.executed, true)
assert.equal(first.run?.outcome, 'partially_succeeded')
const second = await work(job('2'))
assert.equal(second.executed === false && second.reason, 'cooldown')

// #region reads
const scope = { workspaceId: 'acme', tenantId: 'berlin' }
const { runs } = await ledger.list(scope, { type: 'assignment.fetch', limit: 20 })
const [run] = runs // newest first
console.log(run?.outcome, run?.counts, run?.itemFailures)
// partially_succeeded { total: 3, processed: 3, failed: 1 } { 'assignment.rejected': 1 }
// #endregion
assert.deepEqual(run?.counts, { total: 3, processed: 3, failed: 1 })

await ledger.close()
