import { readCatalog } from './catalog/read-catalog.ts'
import { checkPlan } from './check/check-plan.ts'
import { Problems } from './check/problem.ts'
import { inTransaction } from './database/session.ts'
import { messageOf, ResetFailedError, SeedError } from './errors.ts'
import { describeMigrate } from './migrate.ts'
import { makeRows } from './plan/make-rows.ts'
import type { SeedReport } from './report.ts'
import type { Reset } from './reset.ts'
import { outsideDependents } from './schema/dependents.ts'
import { readDiscarded } from './schema/discarded.ts'
import { blocked } from './schema/recreate.ts'
import { planTruncate } from './schema/truncate.ts'

/**
 * The same reads and checks in a READ ONLY transaction: the server itself refuses any change. Takes no lock.
 */
export function dryRun({
  client,
  target,
  identity,
  settings,
}: Reset): Promise<Omit<SeedReport, 'elapsedMs'>> {
  const { mode, schemas, tables, migrate, keep, seed } = settings
  const isRecreate = mode === 'recreate'

  const work = async (): Promise<Omit<SeedReport, 'elapsedMs'>> => {
    const truncate = isRecreate ? null : await planTruncate(client, schemas, keep)
    if (isRecreate) {
      const dependents = await outsideDependents(client, schemas)
      if (dependents.length > 0) throw blocked(dependents)
    }
    const present = await readDiscarded(client, schemas)
    const names = tables.map(({ name }) => name)
    const catalog = await readCatalog(client, schemas, names)
    const problems = new Problems()
    const rows = makeRows(tables, seed, problems)
    // Before the first migration there are no tables to hold the plan against.
    const isCheckable = !isRecreate || names.every((name) => catalog.tables.has(name))
    const emptied = new Set(truncate?.tables ?? names)
    const plan = { tables, rows, requirements: settings.require, emptied }
    const order = isCheckable ? await checkPlan(client, catalog, plan, problems) : null
    const counted =
      order !== null && order.tables.length === rows.length
        ? order.tables.map(({ name, rowCount }) => ({ name, rows: rowCount }))
        : rows.map((table) => ({ name: table.name, rows: table.rows.length }))
    return {
      dryRun: true,
      mode,
      database: identity.database,
      host: target.host,
      schemas,
      discarded: truncate === null ? present : present.filter(({ name }) => truncate.tables.includes(name)),
      kept: truncate?.kept ?? [],
      migrations: isRecreate && migrate !== null ? describeMigrate(migrate) : null,
      tables: counted,
      rows: counted.reduce((sum, table) => sum + table.rows, 0),
      problems: problems.list,
      checkedAgainst: !isCheckable ? 'nothing' : isRecreate ? 'present catalog' : 'catalog',
    }
  }

  return inTransaction(client, 'read only', work, (error) =>
    error instanceof SeedError
      ? error
      : new ResetFailedError(`The plan could not be made: ${messageOf(error)}. Nothing was changed.`, {
          cause: error,
        }),
  )
}
