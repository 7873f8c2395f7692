import { show } from '../errors.ts'
import { type EncodedTable, keysOf, splitKey } from './encoded-table.ts'
import type { ExistingRows } from './existing-rows.ts'
import type { Problems } from './problem.ts'

/** Two rows of the plan with one key, or a row whose key the migrations already wrote. */
export async function checkUniqueKeys(
  encoded: EncodedTable,
  existing: ExistingRows,
  problems: Problems,
): Promise<void> {
  const { name, catalog } = encoded
  for (const { columns, name: index, nullsNotDistinct } of catalog.uniqueKeys) {
    const seen = new Map<string, number>()
    const report = (row: number, whose: string, key: string) => {
      const message = `gets ${show(splitKey(key, columns).join(', '))} as ${whose} (${index})`
      const fix = 'Make it differ, for instance by `index`'
      problems.add({ kind: 'unique_clash', table: name, column: columns.join(', '), message, fix }, row)
    }
    keysOf(encoded, columns).forEach((key, row) => {
      if (key === undefined || (key === null && !nullsNotDistinct)) return
      // One NULL of a key of several columns says nothing of the others: only wholly known keys are compared there.
      if (key === null && columns.length > 1) return
      const text = key ?? '\u0000'
      const first = seen.get(text)
      if (first === undefined) seen.set(text, row)
      else report(row, `row ${first} does`, key ?? 'null')
    })
    const keys = [...seen.keys()].filter((key) => key !== '\u0000')
    const taken = await existing.find(name, columns, keys)
    keys.forEach((key, i) => {
      if (taken[i]) report(seen.get(key)!, 'a row does that is there already', key)
    })
  }
}
