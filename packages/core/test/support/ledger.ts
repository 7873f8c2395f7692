import { createLedger, type Delivery, type Ledger, type LedgerOptions, migrate } from '@opsledger/core'
import { useDatabase } from '@opsledger/testing/vitest'
import { afterAll } from 'vitest'

/** A database of this test file's own with core's schema, and nothing else's. */
export function useCoreDatabase() {
  return useDatabase({
    template: 'core',
    prepare: async (url) => {
      await migrate({ connection: url })
    },
  })
}

/** Ledgers that are closed when the file ends. Their leases are long: no renewal undoes what a test moves in time. */
export function useLedgers(database: { readonly url: string }) {
  const ledgers: Ledger[] = []
  afterAll(async () => {
    await Promise.all(ledgers.map((ledger) => ledger.close({ withinMs: 500 })))
  })
  return (options: Partial<LedgerOptions> = {}): Ledger => {
    const ledger = createLedger({
      connection: options.kysely === undefined ? database.url : undefined,
      leaseMs: 600_000,
      ...options,
    })
    ledgers.push(ledger)
    return ledger
  }
}

export function delivery(id: string, attempt = 1, maxAttempts = 1): Delivery {
  return { id, attempt, maxAttempts }
}

/** A handler that has begun stays until it is told how to end. */
export function createLatch<T = void>() {
  const entered = Promise.withResolvers<void>()
  const left = Promise.withResolvers<T>()
  return {
    entered: entered.promise,
    leave: left.resolve,
    fail: left.reject,
    hold: (): Promise<T> => {
      entered.resolve()
      return left.promise
    },
  }
}
