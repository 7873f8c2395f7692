import { pgBossHandler } from '@opsledger/core/pg-boss'
import { type JobWithMetadata, PgBoss } from 'pg-boss'
import type { BenchPayload } from '../cases/opsledger.ts'
import type { Open } from './queue.ts'

const QUEUE = 'bench'

/** One worker that fetches as many jobs as may run at once, and fetches again as soon as they have ended. */
export const openPgBoss: Open = async ({ url }) => {
  const boss = new PgBoss({ connectionString: url, schedule: false, supervise: false })
  boss.on('error', () => {})
  await boss.start()
  await boss.createQueue(QUEUE, { retryLimit: 2, expireInSeconds: 3_600 })
  return {
    async fill(payloads) {
      await boss.insert(
        QUEUE,
        payloads.map((data) => ({ data })),
      )
    },
    async work(work, timed, concurrency) {
      const options = {
        includeMetadata: true,
        perJobResults: true,
        batchSize: concurrency,
        burstWhenBatchFull: true,
        pollingIntervalSeconds: 0.5,
      } as const
      // A batch is answered as a whole, so each of its jobs is timed with it.
      if (work.kind === 'operation') {
        await boss.work(QUEUE, options, timed(pgBossHandler(boss, work.operation)))
      } else {
        const handle = async (jobs: JobWithMetadata<BenchPayload>[]) => {
          await Promise.all(jobs.map(({ data }) => work.handle(data)))
          return jobs.map(({ id }) => ({ id, status: 'completed' as const, output: {} }))
        }
        await boss.work(QUEUE, options, timed(handle))
      }
      return async () => {
        await boss.offWork(QUEUE)
      }
    },
    close: () => boss.stop({ graceful: false }),
  }
}
