// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { strict as assert } from 'node:assert'
import { makeWorkerUtils } from 'graphile-worker'
import '../migrated.ts'
import { type FetchJob, jobOf, saved } from './host.ts'

const connectionString = process.env.DATABASE_URL!
const utils = await makeWorkerUtils({ connectionString })
await utils.migrate()

// #region worker
import { graphileWorkerTask } from '@opsledger/core/graphile-worker'
import { run } from 'graphile-worker'
import pg from 'pg'
import { fetchAssignments, ledger } from './operations.ts'

await ledger.ready() // what is wrong with the database is found here, not in a job
const pgPool = new pg.Pool({ connectionString }) // your own: it must outlive the runner
const report = (error: Error) => console.error(error.message)
pgPool.on('error', report).on('connect', (client) => client.on('error', report))
const taskList = { fetch: graphileWorkerTask(fetchAssignments) }
const runner = await run({ pgPool, taskList, noHandleSignals: true })

async function stop() {
  const stopped = runner.stop() // takes no more jobs
  await ledger.close({ withinMs: 20_000 }) // what still runs goes back to the queue, no attempt is spent
  await stopped
  await pgPool.end()
}
process.once('SIGTERM', stop)
// #endregion

async function dispatch(payload: FetchJob) {
  // #region dispatch
  const job = await utils.addJob('fetch', payload, { maxAttempts: 5 }) // the default is 25
  // #endregion
  return job
}

/** A completed job is deleted. */
async function completed({ id }: { id: string }) {
  const text = 'select from graphile_worker._private_jobs where id = $1'
  while ((await pgPool.query(text, [id])).rowCount! > 0)
    await new Promise((resolve) => setTimeout(resolve, 50))
}

await completed(await dispatch(jobOf('graphile-worker')))
await completed(await dispatch(jobOf('graphile-worker')))
assert.equal(saved.length, 3)

await stop()
await utils.release()
