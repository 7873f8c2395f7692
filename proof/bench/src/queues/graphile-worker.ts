import { graphileWorkerTask } from '@opsledger/core/graphile-worker'
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import type { BenchPayload } from '../cases/opsledger.ts'
import type { Open } from './queue.ts'

/** Jobs that it fetches at once and keeps for its workers. */
const LOCAL_QUEUE = 24

export const openGraphileWorker: Open = async ({ url }) => {
  const logger = new Logger(() => () => {})
  const pgPool = new pg.Pool({ connectionString: url, max: 34 })
  pgPool.on('error', () => {})
  pgPool.on('connect', (client) => client.on('error', () => {}))
  const utils = await makeWorkerUtils({ pgPool, logger })
  await utils.migrate()
  return {
    async fill(payloads) {
      await utils.addJobs(payloads.map((payload) => ({ identifier: 'bench', payload, maxAttempts: 3 })))
    },
    async work(work, timed, concurrency) {
      const task =
        work.kind === 'operation'
          ? graphileWorkerTask(work.operation)
          : async (payload: unknown) => work.handle(payload as BenchPayload)
      const runner = await run({
        pgPool,
        logger,
        noHandleSignals: true,
        taskList: { bench: timed(task) },
        preset: { worker: { concurrentJobs: concurrency, localQueue: { size: LOCAL_QUEUE } } },
      })
      return () => runner.stop()
    },
    async close() {
      await utils.release()
      await pgPool.end()
    },
  }
}
