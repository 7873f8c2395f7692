import type pg from 'pg'
import type { EncodedTable } from '../check/encoded-table.ts'
import type { WriteOrder } from '../check/write-order.ts'
import { quote, quoteTable } from '../database/names.ts'
import { isDatabaseError } from '../database/session.ts'
import { messageOf, SeedingFailedError } from '../errors.ts'
import type { Progress } from '../progress.ts'
import { type Shape, shapesOf } from './shapes.ts'

/**
 * Rows per statement: beyond a few thousand the time per row no longer falls, and progress would stand still.
 */
export const DEFAULT_BATCH_ROWS = 5_000
/** Characters per statement, against rows of documents: far below the gigabyte that a message may hold. */
const BATCH_CHARACTERS = 8_000_000

/** Writes all rows in the given order. To be called in the one transaction that seeds. */
export async function writeRows(
  client: pg.Client,
  { tables, deferred }: WriteOrder,
  batchRows: number,
  onProgress: (event: Progress) => void,
): Promise<void> {
  if (deferred.length > 0) await client.query(`set constraints ${deferred.join(', ')} deferred`)
  const totalRows = tables.reduce((sum, { rowCount }) => sum + rowCount, 0)
  let doneRows = 0
  for (const encoded of tables) {
    let tableRows = 0
    const report = (rows: number) => {
      tableRows += rows
      doneRows += rows
      onProgress({
        phase: 'seed',
        table: encoded.name,
        rows: tableRows,
        ofRows: encoded.rowCount,
        totalRows: doneRows,
        ofTotalRows: totalRows,
      })
    }
    try {
      for (const shape of shapesOf(encoded)) {
        for (const rows of batchesOf(encoded, shape, batchRows)) {
          await writeBatch(client, encoded, shape.columns, rows)
          report(rows.length)
        }
      }
      await advanceSequences(client, encoded)
    } catch (error) {
      if (!isDatabaseError(error)) throw error
      const { constraint, detail } = error as { constraint?: string; detail?: string }
      const more = [constraint && `constraint ${constraint}`, detail].filter(Boolean).join(': ')
      const message = `${encoded.name} refused its rows: ${messageOf(error)}${more === '' ? '' : ` (${more})`}`
      throw new SeedingFailedError(message, encoded.name, { cause: error })
    }
    if (encoded.rowCount === 0) report(0)
  }
}

function* batchesOf(encoded: EncodedTable, shape: Shape, batchRows: number): Generator<readonly number[]> {
  const columns = shape.columns.map((column) => encoded.columns.get(column)!)
  let start = 0
  let characters = 0
  for (let i = 0; i < shape.rows.length; i++) {
    for (const values of columns) characters += values[shape.rows[i]!]?.length ?? 0
    if (i + 1 - start < batchRows && characters < BATCH_CHARACTERS) continue
    yield shape.rows.slice(start, i + 1)
    start = i + 1
    characters = 0
  }
  if (start < shape.rows.length) yield shape.rows.slice(start)
}

/**
 * One array of text per column, side by side. The cast is to the type without its length: then a value that
 * is too long is an error of the assignment and is not cut.
 */
async function writeBatch(
  client: pg.Client,
  { name, catalog, columns }: EncodedTable,
  names: readonly string[],
  rows: readonly number[],
): Promise<void> {
  if (names.length === 0) {
    for (const _ of rows) await client.query(`insert into ${quoteTable(name)} default values`)
    return
  }
  const arrays = names.map((column) => {
    const values = columns.get(column)!
    return rows.map((row) => values[row])
  })
  await client.query(
    `insert into ${quoteTable(name)} (${names.map(quote).join(', ')}) overriding system value
     select ${names.map((column, i) => `v.c${i}::${catalog.columns.get(column)!.cast}`).join(', ')}
     from unnest(${names.map((_, i) => `$${i + 1}::text[]`).join(', ')}) v (${names.map((_, i) => `c${i}`).join(', ')})`,
    arrays,
  )
}

/**
 * Lets the sequence of a column that was given its values go on behind the highest. `alter sequence` is
 * undone with the transaction, `setval` would not be.
 */
async function advanceSequences(client: pg.Client, { catalog, columns }: EncodedTable): Promise<void> {
  for (const [column, values] of columns) {
    const sequence = catalog.columns.get(column)!.sequence
    if (sequence === null) continue
    let highest: bigint | null = null
    for (const value of values) {
      if (typeof value !== 'string' || !/^-?\d+$/.test(value)) continue
      const number = BigInt(value)
      if (highest === null || number > highest) highest = number
    }
    if (highest !== null && highest > 0n) {
      await client.query(`alter sequence ${sequence} restart with ${highest + 1n}`)
    }
  }
}
