import { strict as assert } from 'node:assert'
import { Queue, QueueEvents, Worker } from 'bullmq'
import { connection, QUEUE } from './bullmq-queue.ts'
import { type FetchJob, jobOf, provider, save, saved } from './host.ts'

// #region worker
const worker = new Worker<FetchJob>(
  QUEUE,
  async (job) => {
    for await (const assignment of provider.assignments(job.data.policyId)) await save(assignment)
  },
  { connection },
)
process.once('SIGTERM', () => worker.close())
// #endregion

const queue = new Queue<FetchJob>(QUEUE, { connection })
const events = new QueueEvents(QUEUE, { connection })
await events.waitUntilReady()
const job = await queue.add('fetch', jobOf('p-1'))
await job.waitUntilFinished(events)
assert.equal(saved.length, 3)
await worker.close()
await events.close()
await queue.obliterate({ force: true })
await queue.close()
