import type { CatalogTable } from '../catalog/catalog.ts'
import { type Encoded, encode, NotEncodable } from '../catalog/encode.ts'
import type { TableRows } from '../plan/make-rows.ts'
import type { Problems } from './problem.ts'

/** The rows of a table as the text that is written, column by column. */
export interface EncodedTable {
  readonly name: string
  readonly catalog: CatalogTable
  readonly rowCount: number
  readonly columns: ReadonlyMap<string, readonly Encoded[]>
}

/** Columns that cannot be written are reported and left out. */
export function encodeTable(
  { name, rows }: TableRows,
  catalog: CatalogTable,
  problems: Problems,
): EncodedTable {
  const names = new Set<string>()
  for (const row of rows) for (const column in row) names.add(column)
  const columns = new Map<string, Encoded[]>()
  for (const column of names) {
    const target = catalog.columns.get(column)
    if (target === undefined) {
      const message = `the table has no such column`
      const fix = `Remove it from the plan, or use one of: ${[...catalog.columns.keys()].join(', ')}`
      problems.add({ kind: 'unknown_column', table: name, column, message, fix })
      continue
    }
    const values = rows.map((row, index): Encoded => {
      try {
        return encode(row[column], target)
      } catch (error) {
        if (!(error instanceof NotEncodable)) throw error
        const message = `is ${target.type} and gets a value that ${error.message}`
        const fix = 'Give it a value that can be stored'
        problems.add({ kind: 'invalid_value', table: name, column, message, fix }, index)
        return undefined
      }
    })
    if (target.isGenerated && values.some((value) => value !== undefined)) {
      const message = 'is computed by an expression of the table, so nothing can be written to it'
      problems.add({ kind: 'generated_column', table: name, column, message, fix: 'Remove it from the plan' })
    }
    columns.set(column, values)
  }
  return { name, catalog, rowCount: rows.length, columns }
}

/**
 * The key of each row over these columns: null where a part of it is NULL, undefined where the database fills
 * a part and nobody can know it. Encoded as JSON where there are several, because joined parts would be
 * ambiguous.
 */
export function keysOf(table: EncodedTable, columns: readonly string[]): Encoded[] {
  const parts = columns.map((column) => table.columns.get(column) ?? leftOut(table, column))
  if (parts.length === 1) return [...parts[0]!]
  return Array.from({ length: table.rowCount }, (_, row) => {
    const key = parts.map((values) => values[row])
    if (key.includes(undefined)) return undefined
    return key.includes(null) ? null : JSON.stringify(key)
  })
}

/** The parts of a key that `keysOf` made. */
export const splitKey = (key: string, columns: readonly string[]): string[] =>
  columns.length === 1 ? [key] : JSON.parse(key)

/** What a column that the plan leaves out holds: NULL, or what the database fills in. */
function leftOut(table: EncodedTable, column: string): Encoded[] {
  const isFilled = table.catalog.columns.get(column)?.isFilled ?? false
  return Array<Encoded>(table.rowCount).fill(isFilled ? undefined : null)
}
