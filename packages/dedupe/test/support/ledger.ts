import { createLedger, type Ledger, type LedgerOptions, migrate } from '@opsledger/core'
import { migrations } from '@opsledger/dedupe/migrations'
import { useDatabase } from '@opsledger/testing/vitest'
import { afterAll } from 'vitest'
import type { LedgerDatabase } from './variants.ts'

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
export function useLedgers(database: { readonly url: string } | Pick<LedgerDatabase, 'way'>) {
  const way = 'way' in database ? database.way : () => ({ connection: database.url })
  const ledgers: Ledger[] = []
  afterAll(async () => {
    await Promise.all(ledgers.map((ledger) => ledger.close({ withinMs: 500 })))
  })
  return (options: Partial<LedgerOptions> = {}): Ledger => {
    const ledger = createLedger({
      ...(options.connection === undefined && options.kysely === undefined ? way() : {}),
      ...options,
    })
    ledgers.push(ledger)
    return ledger
  }
}
