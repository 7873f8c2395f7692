import { createLedger } from '@opsledger/core'
import { createGuard, type ExclusionMode } from '@opsledger/dedupe'
import { type AssignmentJob, type AssignmentType, assignmentOperation } from './assignments.ts'
import { delivery } from './held-work.ts'

/** A worker process that counts half of its items and then goes on until it is killed. */
export interface KilledWorkerArgs {
  readonly connection: string
  readonly exclusion: ExclusionMode
  readonly type: AssignmentType
  readonly job: AssignmentJob
  readonly attempt: number
  readonly leaseMs: number
}

const args = JSON.parse(process.argv[2]!) as KilledWorkerArgs
const { connection, exclusion, type, job, attempt, leaseMs } = args
// As a queue's own connection would: the library keeps no process alive.
setInterval(() => {}, 60_000)
const ledger = createLedger({ connection, leaseMs, progressEveryMs: 10 })
const worker = { ledger, guard: createGuard(ledger, { exclusion }) }
const operation = assignmentOperation(worker, type, async ({ counts, run }) => {
  counts.setTotal(10)
  counts.itemSucceeded(4)
  counts.itemFailed('provider.timeout')
  process.send!({ id: run.id, workerId: run.workerId })
  await new Promise(() => {})
})
await operation(job, delivery('job-1', attempt))
