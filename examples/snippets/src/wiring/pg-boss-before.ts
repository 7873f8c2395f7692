import { strict as assert } from 'node:assert'
import { PgBoss } from 'pg-boss'
import { type FetchJob, jobOf, provider, save, saved } from './host.ts'

const QUEUE = `fetch-before-${process.pid}`
const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, schedule: false, supervise: false })
boss.on('error', (error) => console.error(error.message))
await boss.start()
await boss.createQueue(QUEUE)

// #region worker
await boss.work<FetchJob>(QUEUE, async ([job]) => {
  for await (const assignment of provider.assignments(job!.data.policyId)) await save(assignment)
})
process.once('SIGTERM', () => boss.stop())
// #endregion

await boss.send(QUEUE, jobOf('p-1'))
while (saved.length < 3) await new Promise((resolve) => setTimeout(resolve, 50))
assert.equal(saved.length, 3)
await boss.offWork(QUEUE)
await boss.stop({ graceful: false })
