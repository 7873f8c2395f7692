import type { EncodedTable } from '../check/encoded-table.ts'

/**
 * Rows that give the same columns, so that one statement can write them; the rest is left to the defaults.
 */
export interface Shape {
  readonly columns: readonly string[]
  /** Row numbers in the table. */
  readonly rows: readonly number[]
}

/** Nearly always one shape; rows that leave a column to its default now and then make more. */
export function shapesOf({ columns, rowCount }: EncodedTable): Shape[] {
  const names = [...columns.keys()]
  const mixed = names.filter((name) => columns.get(name)!.includes(undefined))
  const always = names.filter((name) => !mixed.includes(name))
  const shapes = new Map<string, { columns: string[]; rows: number[] }>()
  for (let row = 0; row < rowCount; row++) {
    const given = mixed.filter((name) => columns.get(name)![row] !== undefined)
    const key = JSON.stringify(given)
    let shape = shapes.get(key)
    if (shape === undefined) {
      shape = { columns: [...always, ...given], rows: [] }
      shapes.set(key, shape)
    }
    shape.rows.push(row)
  }
  return [...shapes.values()]
}
