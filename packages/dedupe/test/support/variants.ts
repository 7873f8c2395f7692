import type { LedgerOptions } from '@opsledger/core'
import type { ExclusionMode } from '@opsledger/dedupe'
import type { TestDatabase } from '@opsledger/testing/vitest'
import { useLedgerDatabase } from './ledger.ts'
import { usePGlite } from './pglite.ts'

/** How a guard excludes, and on what: each is held to the same contract. */
export interface Variant {
  readonly name: string
  readonly exclusion: ExclusionMode
  readonly database: 'postgres' | 'pglite'
}

export const VARIANTS: readonly Variant[] = [
  { name: 'session', exclusion: 'session', database: 'postgres' },
  { name: 'lease', exclusion: 'lease', database: 'postgres' },
  { name: 'lease on PGlite', exclusion: 'lease', database: 'pglite' },
]

/** What a test sees and changes behind the library's back, with the values that `pg` gives. */
export interface Queryable {
  // biome-ignore lint/suspicious/noExplicitAny: a test knows what it selects, as with `pg`
  query<R extends object = any>(
    text: string,
    values?: unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }>
}

/** A migrated database of a test file's or block's own. */
export interface LedgerDatabase {
  /** How a ledger gets there; on PGlite each has a Kysely instance of its own, as each process has connections. */
  way(): Pick<LedgerOptions, 'connection' | 'kysely'>
  pool(): Queryable
  /** Null where there can be no second connection and no second process: such tests say so, and are skipped. */
  readonly postgres: TestDatabase | null
}

/** The one place where the shared suite is given its database. */
export function useVariantDatabase({ database }: Pick<Variant, 'database'>): LedgerDatabase {
  if (database === 'pglite') return usePGlite()
  const postgres = useLedgerDatabase()
  return { postgres, pool: () => postgres.pool(), way: () => ({ connection: postgres.url }) }
}
