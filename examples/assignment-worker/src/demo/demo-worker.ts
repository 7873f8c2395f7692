/**
 * A worker process of the demo: `app/worker.ts`, told to report what its ledger publishes, and to break on request.
 */
import { randomUUID } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import type { Guard, LedgerEventName } from '@opsledger/core'
import { PgBoss } from 'pg-boss'
import { createOperations } from '../app/operations.ts'
import { type WorkerSettings, wire, work } from '../app/worker.ts'

const REPORTED = [
  'opsledger:run.admitted',
  'opsledger:run.skipped',
  'opsledger:run.settled',
  'opsledger:run.swept',
  'opsledger:run.aborted',
] as const satisfies readonly LedgerEventName[]

export interface DemoWorkerSettings extends WorkerSettings {
  /** `guard`: admits everything, to see that the demo notices. */
  readonly broken: 'guard' | null
}

const settings: DemoWorkerSettings = JSON.parse(process.env.DEMO_WORKER!)
const report = (message: object) => process.send?.(message)
for (const name of REPORTED) subscribe(name, (message) => report({ name, message }))

const wired = wire(settings)
const boss = new PgBoss({ connectionString: settings.databaseUrl, migrate: false, schedule: false, max: 4 })
boss.on('error', (error) => console.error(error))
await boss.start()
const operations =
  settings.broken === 'guard' ? createOperations({ ...wired, guard: blind(wired.guard) }) : wired.operations
const stop = await work(boss, operations, wired)
report({ name: 'ready' })

/** Takes every delivery for work of its own. */
function blind(guard: Guard): Guard {
  return {
    ...guard,
    admit: (request) =>
      guard.admit({ ...request, job: { ...request.job, identity: randomUUID(), workKey: randomUUID() } }),
  }
}

let isStopping = false
async function leave(): Promise<void> {
  if (isStopping) return
  isStopping = true
  await stop()
  // Nothing else holds the process: it ends here by itself.
  process.disconnect?.()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, leave)
