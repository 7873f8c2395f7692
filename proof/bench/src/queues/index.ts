import type { BenchQueue } from './queue.ts'

export const QUEUES: readonly BenchQueue[] = [
  {
    name: 'bullmq',
    title: 'BullMQ',
    needsRedis: true,
    load: async () => (await import('./bullmq.ts')).openBullMq,
  },
  {
    name: 'pg-boss',
    title: 'pg-boss',
    needsRedis: false,
    load: async () => (await import('./pg-boss.ts')).openPgBoss,
  },
  {
    name: 'graphile-worker',
    title: 'graphile-worker (local queue of 24)',
    needsRedis: false,
    load: async () => (await import('./graphile-worker.ts')).openGraphileWorker,
  },
]

/** @throws Error for a name that no queue has */
export function queueOf(name: string): BenchQueue {
  const found = QUEUES.find((one) => one.name === name)
  if (found === undefined) throw new Error(`There is no queue ${name}`)
  return found
}
