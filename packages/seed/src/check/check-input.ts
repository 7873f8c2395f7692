import type pg from 'pg'
import { show } from '../errors.ts'
import type { EncodedTable } from './encoded-table.ts'
import type { Problems } from './problem.ts'
import { isJudgedHere } from './valid-values.ts'

/** `pg_input_error_info` came with Postgres 16; before it, such a value is found when it is written. */
const SINCE_VERSION = 160_000

/**
 * Puts the values of all other types (numeric, dates, arrays, domains, …) to the database's own input
 * functions.
 */
export async function checkInput(
  client: pg.Client,
  versionNumber: number,
  { name, catalog, columns }: EncodedTable,
  problems: Problems,
): Promise<void> {
  if (versionNumber < SINCE_VERSION) return
  for (const [column, values] of columns) {
    const target = catalog.columns.get(column)!
    if (isJudgedHere(target) || problems.has(name, column)) continue
    const firstRows = new Map<string, number>()
    values.forEach((value, row) => {
      if (typeof value === 'string' && !firstRows.has(value)) firstRows.set(value, row)
    })
    if (firstRows.size === 0) continue
    const { rows } = await client.query<{ value: string; message: string }>(
      `select v.value, e.message from unnest($1::text[]) with ordinality v (value, i)
       cross join lateral pg_input_error_info(v.value, $2) e where e.message is not null order by v.i`,
      [[...firstRows.keys()], target.type],
    )
    for (const { value, message } of rows) {
      const what = `is ${target.type} and gets ${show(value)}: ${message}`
      const fix = `Use a value of type ${target.type}`
      problems.add({ kind: 'invalid_value', table: name, column, message: what, fix }, firstRows.get(value)!)
    }
  }
}
