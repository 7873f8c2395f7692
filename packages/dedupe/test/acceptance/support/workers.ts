import type { Ledger, LedgerOptions } from '@opsledger/core'
import { createGuard, type DedupeGuard } from '@opsledger/dedupe'
import { useLedgers } from '../../support/ledger.ts'
import type { LedgerDatabase, Variant } from '../../support/variants.ts'

/** The longest one allowed: no renewal happens during a test, and what a test does to a lease stays done. */
export const LONG_LEASE_MS = 600_000

/** A ledger and its guard: to the database, a process of its own. */
export interface Worker {
  readonly ledger: Ledger
  readonly guard: DedupeGuard
}

export function useWorkers(database: LedgerDatabase, { exclusion }: Pick<Variant, 'exclusion'>) {
  const createLedger = useLedgers(database)
  return (options: Partial<LedgerOptions> = {}): Worker => {
    const ledger = createLedger({ leaseMs: LONG_LEASE_MS, ...options })
    return { ledger, guard: createGuard(ledger, { exclusion }) }
  }
}
