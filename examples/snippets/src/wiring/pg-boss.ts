// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { strict as assert } from 'node:assert'
import { PgBoss } from 'pg-boss'
import '../migrated.ts'
import { type FetchJob, jobOf, saved } from './host.ts'

const QUEUE = `fetch-${process.pid}`
const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, schedule: false, supervise: false })
boss.on('error', (error) => console.error(error.message))
await boss.start()

// #region queue
await boss.createQueue(QUEUE, {
  retryLimit: 4, // five attempts in all
  retryDelay: 1,
  retryBackoff: true,
  expireInSeconds: 4 * 60 * 60, // longer than the longest execution
  heartbeatSeconds: 60, // a dead worker's job comes back after this
})
// #endregion

// #region worker
import { pgBossHandler } from '@opsledger/core/pg-boss'
import { fetchAssignments, ledger } from './operations.ts'

await ledger.ready() // what is wrong with the database is found here, not in a job
const options = { includeMetadata: true, perJobResults: true } as const
await boss.work(QUEUE, options, pgBossHandler(boss, fetchAssignments))

async function stop() {
  const drained = boss.offWork(QUEUE) // takes no more jobs
  await ledger.close({ withinMs: 20_000 }) // what still runs goes back to the queue, no attempt is spent
  await drained
  await boss.stop()
}
process.once('SIGTERM', stop)
// #endregion

async function outputOf(payload: FetchJob) {
  const id = (await boss.send(QUEUE, payload))!
  for (;;) {
    const [job] = await boss.findJobs<FetchJob>(QUEUE, { id })
    if (job?.state === 'completed') return job.output as { run: string; skipped?: string }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const done = await outputOf(jobOf('pg-boss'))
assert.equal(typeof done.run, 'string')
assert.deepEqual(await outputOf(jobOf('pg-boss')), { skipped: 'cooldown', run: done.run })
assert.equal(saved.length, 3)

await stop()
