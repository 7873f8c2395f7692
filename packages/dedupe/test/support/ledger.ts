import { createLedger, type Ledger, type LedgerOptions, migrate } from '@opsledger/core'
import { migrations } from '@opsledger/dedupe/migrations'
import { useDatabase } from '@opsledger/testing/vitest'
import { afterAll } from 'vitest'

/** A migrated database of this test file's own. */
export function useLedgerDatabase() {
  return useDatabase({
    template: 'dedupe',
    prepare: async (url) => {
      await migrate({ connection: url, with: [migrations] })
    },
  })
}

/** Ledgers that are closed when the file ends. */
export function useLedgers(database: { readonly url: string }) {
  const ledgers: Ledger[] = []
  afterAll(async () => {
    await Promise.all(ledgers.map((ledger) => ledger.close({ withinMs: 500 })))
  })
  return (options: Partial<LedgerOptions> = {}): Ledger => {
    const ledger = createLedger({
      connection: options.kysely === undefined ? database.url : undefined,
      ...options,
    })
    ledgers.push(ledger)
    return ledger
  }
}
