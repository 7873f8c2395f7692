import type pg from 'pg'
import type { Catalog } from '../catalog/catalog.ts'
import type { TableRows } from '../plan/make-rows.ts'
import { type Requirements, rulesOf } from '../plan/rules.ts'
import type { AnyTable } from '../plan/table.ts'
import { checkInput } from './check-input.ts'
import { type EncodedTable, encodeTable } from './encoded-table.ts'
import { existingRows } from './existing-rows.ts'
import { checkParents } from './parents.ts'
import type { Problems } from './problem.ts'
import { checkRequiredValues } from './required-values.ts'
import { checkUniqueKeys } from './unique-keys.ts'
import { checkValidValues } from './valid-values.ts'
import { type WriteOrder, writeOrder } from './write-order.ts'

export interface PlanToCheck {
  readonly tables: readonly AnyTable[]
  readonly rows: readonly TableRows[]
  readonly requirements: Requirements
  /** Tables whose present rows will be gone when the first row is written. */
  readonly emptied: ReadonlySet<string>
}

/**
 * Holds the rows of the plan against the catalog and the rules, all of them before the first is written, and
 * gives the order to write them in. Only reads from the database.
 */
export async function checkPlan(
  client: pg.Client,
  catalog: Catalog,
  { tables, rows, requirements, emptied }: PlanToCheck,
  problems: Problems,
): Promise<WriteOrder> {
  const described = new Map(tables.map((table) => [table.name, table]))
  const plan = new Map<string, EncodedTable>()
  for (const tableRows of rows) {
    const found = catalog.tables.get(tableRows.name)
    if (found === undefined) reportUnknownTable(tableRows.name, catalog, problems)
    else plan.set(tableRows.name, encodeTable(tableRows, found, problems))
  }
  const existing = existingRows(client, (table) => emptied.has(table))
  for (const encoded of plan.values()) {
    const rules = rulesOf(encoded.name, new Set(encoded.catalog.columns.keys()), requirements)
    checkRequiredValues(encoded, described.get(encoded.name)!, rules, problems)
    checkValidValues(encoded, rules, problems)
    await checkInput(client, catalog.versionNumber, encoded, problems)
    await checkUniqueKeys(encoded, existing, problems)
  }
  for (const encoded of plan.values()) await checkParents(encoded, plan, existing, problems)
  return writeOrder(plan, problems)
}

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
}

function reportUnknownTable(name: string, catalog: Catalog, problems: Problems): void {
  const kind = catalog.relations.get(name)
  const schema = name.slice(0, name.indexOf('.') + 1)
  const others = [...catalog.relations.keys()].filter((other) => other.startsWith(schema)).slice(0, 10)
  const message = kind === undefined ? 'there is no such table' : `is ${KINDS[kind]}, not a table`
  const fix =
    others.length === 0
      ? 'The schema is empty: do the migrations make it?'
      : `Correct its name, or add a migration; the schema has: ${others.join(', ')}`
  problems.add({ kind: 'unknown_table', table: name, column: null, message, fix })
}
