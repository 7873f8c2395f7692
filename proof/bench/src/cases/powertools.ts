import { randomUUID } from 'node:crypto'
import {
  IdempotencyAlreadyInProgressError,
  IdempotencyConfig,
  makeIdempotent,
} from '@aws-lambda-powertools/idempotency'
import { CachePersistenceLayer } from '@aws-lambda-powertools/idempotency/cache'
import { createClient } from '@redis/client'
import type { Prepare } from '../case.ts'
import { openHostPool, twoLedgerWrites } from './ledger-writes.ts'

/** What is left of the invocation, in ms: after that, an execution in progress may be taken over. */
const REMAINING_MS = 30_000

/** Powertools asks its context for nothing else. */
const CONTEXT = { getRemainingTimeInMillis: () => REMAINING_MS } as Parameters<
  IdempotencyConfig['registerLambdaContext']
>[0]

/** An idempotency record in Redis around the floor's two writes, its default expiry of an hour kept. */
export const preparePowertools: Prepare = async ({ url, redisUrl, handler }) => {
  const pool = await openHostPool(url, 16)
  const client = await createClient({ url: redisUrl! }).connect()
  const config = new IdempotencyConfig({ eventKeyJmesPath: 'key' })
  config.registerLambdaContext(CONTEXT)
  const prefix = randomUUID()
  const work = makeIdempotent(
    async ({ index, delivery }: { key: string; index: number; delivery: number }) => {
      await twoLedgerWrites(pool, index, handler)
      return { delivery }
    },
    { persistenceStore: new CachePersistenceLayer({ client }), config },
  )
  let deliveries = 0
  return {
    async job(index) {
      const delivery = deliveries++
      try {
        // A duplicate of what has ended is given the answer of that.
        return (await work({ key: `${prefix}:${index}`, index, delivery })).delivery === delivery
      } catch (error) {
        if (error instanceof IdempotencyAlreadyInProgressError) return false
        throw error
      }
    },
    async close() {
      await client.close()
      await pool.end()
    },
  }
}
