import { strict as assert } from 'node:assert'
import { createLedger } from '@opsledger/core'
import { createGuard, fingerprint } from '@opsledger/dedupe'
import './migrated.ts'

interface SyncJob {
  workspaceId: string
  accountId: string
  revision: number
}

const ledger = createLedger({ connection: process.env.DATABASE_URL })
const guard = createGuard(ledger)
const seen: number[] = []
async function syncAccount({ revision }: SyncJob) {
  seen.push(revision)
}

// #region revision
const sync = ledger.operation({
  type: 'account.sync',
  scope: (job: SyncJob) => ({ workspaceId: job.workspaceId }),
  fingerprint: fingerprint(['accountId', 'revision']), // a newer revision is other work
  guard,
  handler: ({ payload }) => syncAccount(payload),
})
// #endregion

const lines: string[] = []
const log = (line: string) => lines.push(line)

async function work(job: SyncJob, id: string) {
  // #region narrow
  const verdict = await sync(job, { id, attempt: 1, maxAttempts: 3 })
  if (verdict.executed) log(`run ${verdict.run.id}: ${verdict.run.outcome}, ${verdict.settlement}`)
  else log(`${verdict.reason}, ${verdict.action}: look at run ${verdict.run?.id}`)
  // #endregion
}

const job = { workspaceId: 'acme', accountId: 'a-1', revision: 1 }
await work(job, '1')
await work(job, '2')
await work({ ...job, revision: 2 }, '3')
assert.match(lines.join('\n'), /succeeded, settled\ncooldown, discard: look at run .*\nrun .*succeeded/)
assert.deepEqual(seen, [1, 2])
await ledger.close()
