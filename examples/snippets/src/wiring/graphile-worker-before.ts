import { strict as assert } from 'node:assert'
import { makeWorkerUtils, run } from 'graphile-worker'
import { type FetchJob, jobOf, provider, save, saved } from './host.ts'

const connectionString = process.env.DATABASE_URL!
const utils = await makeWorkerUtils({ connectionString })
await utils.migrate()

// #region worker
const runner = await run({
  connectionString,
  taskList: {
    async fetchBefore(payload) {
      const { policyId } = payload as FetchJob
      for await (const assignment of provider.assignments(policyId)) await save(assignment)
    },
  },
})
// #endregion

await utils.addJob('fetchBefore', jobOf('p-1'))
while (saved.length < 3) await new Promise((resolve) => setTimeout(resolve, 50))
assert.equal(saved.length, 3)
await runner.stop()
await utils.release()
