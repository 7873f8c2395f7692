import { strict as assert } from 'node:assert'
import {
  createLedger,
  isReasonCode,
  type Ledger,
  migrate,
  migrationSql,
  type Operation,
  type Run,
  type Verdict,
} from '@opsledger/core'
import { type BullMqJob, bullMqProcessor } from '@opsledger/core/bullmq'
import { graphileWorkerTask } from '@opsledger/core/graphile-worker'
import { type Guard, parseAnswer } from '@opsledger/core/guard'
import { type MigrationSet, migrations } from '@opsledger/core/migrations'
import { type PgBossQueue, pgBossHandler } from '@opsledger/core/pg-boss'

/** A host with the ledger alone: every subpath, and one recorded run through a queue's adapter. */
interface Restore {
  workspaceId: string
  tenantId: string
  assignments: string[]
}

const connection = process.env.DATABASE_URL
const ledger: Ledger = createLedger({ connection })
const restore: Operation<Restore, number> = ledger.operation({
  type: 'assignment.restore',
  scope: ({ workspaceId, tenantId }: Restore) => ({ workspaceId, tenantId }),
  fingerprint: ({ assignments }) => assignments.join(),
  handler({ payload, counts, signal }) {
    signal.throwIfAborted()
    counts.setTotal(payload.assignments.length)
    counts.itemSucceeded(payload.assignments.length - 1)
    counts.itemFailed('assignment.missing')
    return payload.assignments.length
  },
})
const payload: Restore = { workspaceId: 'acme', tenantId: 'berlin', assignments: ['a', 'b'] }

const guard: Guard | undefined = undefined
const sets: MigrationSet[] = [migrations]
assert.equal(guard, undefined)
assert.ok(migrationSql({ with: sets }).includes('operation_run'))
assert.equal(parseAnswer([{ answer: '7' }]), 7)
assert.equal(typeof graphileWorkerTask(restore, { schema: 'graphile_worker' }), 'function')
assert.equal(isReasonCode('worker.lost'), true)

// The command line tool went before.
assert.deepEqual((await migrate({ connection })).applied, [])

const job: BullMqJob<Restore> = {
  id: '1',
  queueName: 'restore',
  data: payload,
  timestamp: Date.now(),
  attemptsMade: 0,
  opts: {},
  moveToDelayed: async () => {},
}
const answer = await bullMqProcessor(restore)(job, 'token', new AbortController().signal)
assert.ok('run' in answer && 'value' in answer)
assert.equal(answer.value, 2)

const verdict: Verdict<number> = await restore(payload, { id: '2', attempt: 1, maxAttempts: 1 })
assert.ok(verdict.executed)
const run: Run | null = await ledger.get({ workspaceId: 'acme', tenantId: 'berlin' }, verdict.run.id)
assert.equal(run?.outcome, 'partially_succeeded')
assert.deepEqual(run?.counts, { total: 2, processed: 2, failed: 1 })

const boss: PgBossQueue = { getDb: () => ({ executeSql: async () => ({ rows: [] }) }) }
assert.equal(typeof pgBossHandler(boss, restore), 'function')
await ledger.close()
console.log('a recorded run through the BullMQ adapter, another by itself')
