// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { strict as assert } from 'node:assert'
import { QueueEvents } from 'bullmq'
import '../migrated.ts'
import { type FetchJob, jobOf, saved } from './host.ts'

// #region worker
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { Worker } from 'bullmq'
import { connection, QUEUE } from './bullmq-queue.ts'
import { fetchAssignments, ledger } from './operations.ts'

await ledger.ready() // what is wrong with the database is found here, not in a job
const worker = new Worker(QUEUE, bullMqProcessor(fetchAssignments), { connection, maxStalledCount: 10 })
worker.on('error', (error) => console.error(error.message))

async function stop() {
  const closed = worker.close() // takes no more jobs
  await ledger.close({ withinMs: 20_000 }) // what still runs goes back to the queue, no attempt is spent
  await closed
}
process.once('SIGTERM', stop)
// #endregion

// #region dispatch
import { Queue } from 'bullmq'

const queue = new Queue<FetchJob>(QUEUE, { connection })

async function dispatch(payload: FetchJob) {
  return queue.add('fetch', payload, { attempts: 5, backoff: { type: 'exponential', delay: 1_000 } })
}
// #endregion

const events = new QueueEvents(QUEUE, { connection })
await events.waitUntilReady()

const first = await dispatch(jobOf('bullmq'))
const done = await first.waitUntilFinished(events)
assert.equal(typeof done.run, 'string')
const second = await dispatch(jobOf('bullmq'))
assert.deepEqual(await second.waitUntilFinished(events), { skipped: 'cooldown', run: done.run })
assert.equal(saved.length, 3)

await stop()
await events.close()
await queue.obliterate({ force: true })
await queue.close()
