import { randomUUID } from 'node:crypto'
import { Redlock } from '@sesamecare-oss/redlock'
import { Redis } from 'ioredis'
import type { Prepare } from '../case.ts'
import { openHostPool, twoLedgerWrites } from './ledger-writes.ts'

/** The lock's time to live in ms; `using` extends it while the handler runs. */
const LOCK_MS = 30_000

/** A lock in Redis around the floor's two writes. It has no cooldown, and nothing fences the second write. */
export const prepareRedlock: Prepare = async ({ url, redisUrl, handler }) => {
  const pool = await openHostPool(url, 16)
  const redis = new Redis(redisUrl!)
  const locks = new Redlock([redis])
  const prefix = randomUUID()
  return {
    async job(index) {
      await locks.using([`${prefix}:${index}`], LOCK_MS, () => twoLedgerWrites(pool, index, handler))
      return true
    },
    async close() {
      await locks.quit()
      await pool.end()
    },
  }
}
