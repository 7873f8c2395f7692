import type pg from 'pg'
import { quote, quoteTable } from '../database/names.ts'
import { splitKey } from './encoded-table.ts'

/**
 * Rows that are there before the first one is written: those of the migrations, and of tables that are kept.
 */
export interface ExistingRows {
  /** Which of these keys a row of the table has. */
  find(table: string, columns: readonly string[], keys: readonly string[]): Promise<boolean[]>
}

/** @param isEmptied tables whose rows will be gone by then, and those that are not there */
export function existingRows(client: pg.Client, isEmptied: (table: string) => boolean): ExistingRows {
  const isEmpty = new Map<string, boolean>()
  return {
    async find(table, columns, keys) {
      if (keys.length === 0 || isEmptied(table)) return keys.map(() => false)
      const name = quoteTable(table)
      if (!isEmpty.has(table)) {
        const { rows } = await client.query<{ some: boolean }>(`select exists (select from ${name}) as some`)
        isEmpty.set(table, !rows[0]!.some)
      }
      if (isEmpty.get(table)) return keys.map(() => false)
      const found = keys.map(() => false)
      const parts = keys.map((key) => splitKey(key, columns))
      // Compared as text: a key that is no value of the column's type must not fail the statement.
      const { rows } = await client.query<{ i: string }>(
        `select k.i::text from unnest(${columns.map((_, c) => `$${c + 1}::text[]`).join(', ')})
           with ordinality k (${columns.map((_, c) => `c${c}`).join(', ')}, i)
         where exists (
           select from ${name} t where ${columns.map((column, c) => `t.${quote(column)}::text = k.c${c}`).join(' and ')}
         )`,
        columns.map((_, c) => parts.map((part) => part[c]!)),
      )
      for (const { i } of rows) found[Number(i) - 1] = true
      return found
    },
  }
}
