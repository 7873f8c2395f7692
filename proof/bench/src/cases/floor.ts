import type { Prepare } from '../case.ts'
import { openHostPool, twoLedgerWrites } from './ledger-writes.ts'

/** The ledger alone: two prepared statements in transactions of their own. Nothing keeps duplicates apart. */
export const prepareFloor: Prepare = async ({ url, handler }) => {
  const pool = await openHostPool(url, 16)
  return {
    async job(index) {
      await twoLedgerWrites(pool, index, handler)
      return true
    },
    close: () => pool.end(),
  }
}
