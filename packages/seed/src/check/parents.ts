import type { ForeignKey } from '../catalog/catalog.ts'
import { show } from '../errors.ts'
import { type EncodedTable, keysOf, splitKey } from './encoded-table.ts'
import type { ExistingRows } from './existing-rows.ts'
import type { Problems } from './problem.ts'

/** Foreign keys whose parent is neither in the plan nor in the database. */
export async function checkParents(
  encoded: EncodedTable,
  plan: ReadonlyMap<string, EncodedTable>,
  existing: ExistingRows,
  problems: Problems,
): Promise<void> {
  for (const key of encoded.catalog.foreignKeys) {
    const column = key.columns.join(', ')
    if (key.columns.some((one) => problems.has(encoded.name, one))) continue
    const parent = plan.get(key.parent)
    const parents = parent && keysOf(parent, key.parentColumns)
    const planned = new Set(parents)
    const orphans = new Map<string, number[]>()
    keysOf(encoded, key.columns).forEach((value, row) => {
      if (value === undefined || value === null || planned.has(value)) return
      const rows = orphans.get(value)
      if (rows === undefined) orphans.set(value, [row])
      else rows.push(row)
    })
    const values = [...orphans.keys()]
    const found = await existing.find(key.parent, key.parentColumns, values)
    values.forEach((value, i) => {
      if (found[i]) return
      const shown = show(splitKey(value, key.columns).join(', '))
      const message = `points to ${key.parent} (${key.parentColumns.join(', ')}) = ${shown}, which is nowhere`
      const fix = fixOf(key, parent === undefined, planned.has(undefined))
      for (const row of orphans.get(value)!) {
        problems.add({ kind: 'missing_parent', table: encoded.name, column, message, fix }, row)
      }
    })
    if (key.isFull) checkFull(encoded, key, problems)
  }
}

function fixOf(key: ForeignKey, isAbsent: boolean, isFilledByDatabase: boolean): string {
  if (isAbsent) return `Add the table ${key.parent} to the plan`
  if (isFilledByDatabase)
    return `Give ${key.parent} its ${key.parentColumns.join(', ')} in the plan, such as serial()`
  return `Use ${key.columns.map((column, i) => `${column}: ref('${key.parent}', '${key.parentColumns[i]}')`).join(', ')}`
}

function checkFull(encoded: EncodedTable, key: ForeignKey, problems: Problems): void {
  const parts = key.columns.map((column) => encoded.columns.get(column))
  for (let row = 0; row < encoded.rowCount; row++) {
    const nulls = parts.filter((values) => (values === undefined ? true : values[row] === null)).length
    if (nulls === 0 || nulls === parts.length) continue
    const message = `is a MATCH FULL reference to ${key.parent} of which only a part is null`
    const fix = 'Give all of its columns or none'
    problems.add(
      { kind: 'missing_parent', table: encoded.name, column: key.columns.join(', '), message, fix },
      row,
    )
  }
}
