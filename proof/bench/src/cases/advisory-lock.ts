import advisoryLockModule from 'advisory-lock'
import type { Prepare } from '../case.ts'
import { createLimit } from '../limit.ts'
import { openHostPool, twoLedgerWrites } from './ledger-writes.ts'

/** It opens a connection per lock: more than a server's usual hundred, less the pool's, would be refused. */
const LOCKS_AT_ONCE = 80

/** A CommonJS module, whose default export Node hands over inside of another. */
const createMutex = advisoryLockModule.default

/** A session lock on a connection of its own around the floor's two writes; no cooldown. */
export const prepareAdvisoryLock: Prepare = async ({ url, handler }) => {
  const pool = await openHostPool(url, 16)
  const mutexOf = createMutex(url)
  const limit = createLimit(LOCKS_AT_ONCE)
  return {
    job: (index) =>
      limit(async () => {
        const unlock = await mutexOf(`work-${index}`).tryLock()
        if (unlock === undefined) return false
        try {
          await twoLedgerWrites(pool, index, handler)
        } finally {
          await unlock()
        }
        return true
      }),
    close: () => pool.end(),
  }
}
