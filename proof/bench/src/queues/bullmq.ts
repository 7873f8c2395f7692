import { randomUUID } from 'node:crypto'
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { type Job, type Processor, Queue, Worker } from 'bullmq'
import type { BenchPayload } from '../cases/opsledger.ts'
import type { Open } from './queue.ts'

export const openBullMq: Open = async ({ redisUrl }) => {
  const connection = { url: redisUrl! }
  const name = `opsledger-bench-${randomUUID()}`
  const queue = new Queue<BenchPayload>(name, { connection })
  return {
    async fill(payloads) {
      await queue.addBulk(payloads.map((data) => ({ name: 'job', data, opts: { attempts: 3 } })))
    },
    async work(work, timed, concurrency) {
      const processor =
        work.kind === 'operation'
          ? timed(bullMqProcessor(work.operation))
          : timed(async (job: Job<BenchPayload>) => work.handle(job.data))
      const worker = new Worker<BenchPayload>(name, processor as Processor, { connection, concurrency })
      worker.on('error', () => {})
      await worker.waitUntilReady()
      return () => worker.close()
    },
    async close() {
      await queue.obliterate({ force: true })
      await queue.close()
    },
  }
}
