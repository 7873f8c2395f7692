import { PGlite } from '@electric-sql/pglite'
import { migrate } from '@opsledger/core'
import { migrations } from '@opsledger/dedupe/migrations'
import { Kysely, PGliteDialect } from 'kysely'
import { afterAll, beforeAll } from 'vitest'
import type { LedgerDatabase } from './variants.ts'

/** Its start is work for the processor alone, and so takes as much longer as others are at work. */
const START_WITHIN_MS = 120_000
const INT8 = 20
/** As `pg` gives it: a text. PGlite's own choice is a number or a bigint, and the library must bear it. */
const AS_PG = { parsers: { [INT8]: (text: string) => text } }

/** A migrated PGlite of this test file's or block's own: one connection, in this process, in memory. */
export function usePGlite(): LedgerDatabase {
  let pglite: PGlite | null = null
  const current = (): PGlite => {
    if (pglite === null) throw new Error('PGlite is there only from beforeAll to afterAll: ask there')
    return pglite
  }
  beforeAll(async () => {
    pglite = await PGlite.create({ loadDataDir: await migrated() })
  }, START_WITHIN_MS)
  afterAll(async () => {
    await pglite?.close()
    pglite = null
  })
  return {
    postgres: null,
    way: () => ({ kysely: kyselyOn(current()) }),
    pool: () => ({
      async query<R extends object>(text: string, values?: unknown[]) {
        const { rows, affectedRows = null } = await current().query<R>(text, values, AS_PG)
        return { rows, rowCount: affectedRows }
      },
    }),
  }
}

const kyselyOn = (pglite: PGlite) => new Kysely<unknown>({ dialect: new PGliteDialect({ pglite }) })

let template: Promise<Blob> | null = null

/** What each PGlite of this test file starts from: made once, because it takes seconds where a copy takes a fraction. */
function migrated(): Promise<Blob> {
  template ??= (async () => {
    const pglite = await PGlite.create()
    try {
      await migrate({ kysely: kyselyOn(pglite), with: [migrations] })
      return await pglite.dumpDataDir('none')
    } finally {
      await pglite.close()
    }
  })()
  return template
}
