import { readCatalog } from './catalog/read-catalog.ts'
import { checkPlan } from './check/check-plan.ts'
import { Problems } from './check/problem.ts'
import { inTransaction } from './database/session.ts'
import { messageOf, SeedError, SeedingFailedError, UnsatisfiedPlanError } from './errors.ts'
import { makeRows } from './plan/make-rows.ts'
import type { SeedReport } from './report.ts'
import type { Reset } from './reset.ts'
import { recheckIdentity } from './safety/identity.ts'
import { readDiscarded } from './schema/discarded.ts'
import { planTruncate, truncateTables } from './schema/truncate.ts'
import { writeRows } from './write/write-rows.ts'

export interface Seeded {
  readonly tables: SeedReport['tables']
  readonly truncated: SeedReport['discarded']
  readonly kept: readonly string[]
}

/**
 * One transaction: check, with `truncate` empty, write. READ COMMITTED; locks the emptied tables exclusively
 * until the commit, the others as any insert does. Whatever fails, no row of the plan stays.
 */
export function seedTables({ client, target, identity, settings, emit }: Reset): Promise<Seeded> {
  const { mode, schemas, tables, keep, seed } = settings
  const names = tables.map(({ name }) => name)
  const state =
    mode === 'recreate'
      ? 'the tables are migrated and hold none of the rows of the plan'
      : 'the tables hold what they held before'

  const work = async (): Promise<Seeded> => {
    await recheckIdentity(client, target.host, settings.allow, identity)
    const truncate =
      mode === 'truncate' ? await planTruncate(client, schemas, keep) : { tables: [], kept: [] }
    const emptied = new Set(truncate.tables)
    const catalog = await readCatalog(client, schemas, names)
    const problems = new Problems()
    const rows = makeRows(tables, seed, problems)
    const order = await checkPlan(
      client,
      catalog,
      { tables, rows, requirements: settings.require, emptied },
      problems,
    )
    if (problems.list.length > 0) throw new UnsatisfiedPlanError(problems.list, state)
    const rowCount = rows.reduce((sum, table) => sum + table.rows.length, 0)
    emit({ phase: 'make rows', tables: tables.length, rows: rowCount })
    const present = await readDiscarded(client, schemas)
    if (mode === 'truncate') {
      await truncateTables(client, truncate.tables)
      emit({ phase: 'truncate', tables: truncate.tables })
    }
    await writeRows(client, order, settings.batchRows, emit)
    return {
      tables: order.tables.map((table) => ({ name: table.name, rows: table.rowCount })),
      truncated: truncate.tables.map((name) => present.find((table) => table.name === name)!),
      kept: truncate.kept,
    }
  }

  return inTransaction(client, 'read write', work, (error, end) => {
    if (error instanceof SeedError && !(error instanceof SeedingFailedError)) return error
    const outcome =
      end === 'rolled back'
        ? `The transaction was rolled back: ${state}.`
        : 'The connection was lost during the commit: the rows are there in full or not at all. Run it again.'
    const table = error instanceof SeedingFailedError ? error.table : null
    const cause = error instanceof SeedingFailedError ? error.cause : error
    return new SeedingFailedError(`Seeding failed: ${messageOf(error)}. ${outcome}`, table, { cause })
  })
}
