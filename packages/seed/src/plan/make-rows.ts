import type { Problems } from '../check/problem.ts'
import { messageOf } from '../errors.ts'
import { type CellContext, isGenerator } from './generators.ts'
import { type Need, orderTables } from './order.ts'
import { cellRandoms, columnSeed } from './random.ts'
import { isReference, isThrough } from './reference.ts'
import { References } from './resolve-references.ts'
import { type AnyTable, assertCount, type Column } from './table.ts'
import type { SeedRow, SeedValue } from './values.ts'

/** The rows of one table, in the order of their numbers. */
export interface TableRows {
  readonly name: string
  readonly rows: readonly SeedRow[]
}

type MutableRow = Record<string, SeedValue>

interface Slot {
  readonly parent: SeedRow | null
  readonly nth: number
  readonly given: SeedRow | null
}

/** A column that waits until the rows of a table in a cycle are there. */
interface Late {
  readonly table: AnyTable
  readonly column: string
  readonly slots: readonly Slot[]
}

/**
 * Makes every row of the plan, in memory and without a database. What cannot be made is a problem of its
 * column and leaves the value undefined, so that the rest can be checked as well.
 */
export function makeRows(tables: readonly AnyTable[], seed: number, problems: Problems): TableRows[] {
  const byName = new Map(tables.map((table) => [table.name, table]))
  const names = tables.map(({ name }) => name)
  const order = orderTables(names, tables.flatMap(needsOf))
  if (order.cycle !== null) {
    problems.add({
      kind: 'reference_cycle',
      table: order.cycle[0]!,
      column: null,
      message: `its rows are made per row of ${order.cycle.slice(1).join(', per row of ') || 'itself'}, in a circle`,
      fix: 'Give one of them a `count` without `per`',
    })
  }
  const made = new Map<string, MutableRow[]>(names.map((name) => [name, []]))
  const references = new References(made, problems)
  const late: Late[] = []
  for (const name of order.tables) {
    const table = byName.get(name)!
    const slots = makeSlots(table, made, seed, problems)
    const rows = slots.map(({ given }): MutableRow => ({ ...given }))
    made.set(name, rows)
    const lateColumns = new Set<string>()
    for (const [column, how] of Object.entries(table.spec.columns)) {
      const isLate =
        isGenerator(how) &&
        ((isReference(how) && order.broken.some((n) => n.table === name && n.before === how.to.table)) ||
          (isThrough(how) && lateColumns.has(how.follow.column)))
      if (isLate) {
        lateColumns.add(column)
        late.push({ table, column, slots })
      } else {
        fillColumn(table, column, slots, rows, seed, references, problems)
      }
    }
  }
  for (const { table, column, slots } of late) {
    fillColumn(table, column, slots, made.get(table.name)!, seed, references, problems)
  }
  return order.tables.map((name) => ({ name, rows: made.get(name)! }))
}

/** Parents must be there before their children; a reference can be filled in later. */
function needsOf({ name, spec }: AnyTable): Need[] {
  const needs = Object.values(spec.columns)
    .filter((column) => isGenerator(column) && isReference(column))
    .map((column) => ({
      table: name,
      before: (column as { to: { table: string } }).to.table,
      breakable: true,
    }))
  return spec.per === null ? needs : [...needs, { table: name, before: spec.per.name, breakable: false }]
}

function makeSlots(
  { name, spec }: AnyTable,
  made: ReadonlyMap<string, readonly SeedRow[]>,
  seed: number,
  problems: Problems,
): Slot[] {
  const parents = spec.per === null ? [null] : made.get(spec.per.name)
  if (parents === undefined) {
    const message = `its rows are made per row of ${spec.per!.name}, which is not in the plan`
    const fix = `Add the table ${spec.per!.name} to \`tables\``
    problems.add({ kind: 'missing_parent', table: name, column: null, message, fix })
    return []
  }
  const random = cellRandoms(columnSeed(seed, `${name}#count`))
  const slots: Slot[] = []
  parents.forEach((parent, index) => {
    let count = typeof spec.count === 'number' ? spec.count : 0
    if (typeof spec.count === 'function') {
      try {
        count = spec.count({ parent, index, random: random(index) })
        assertCount(name, slots.length + count)
      } catch (error) {
        const message = `its count cannot be known: ${messageOf(error)}`
        const fix = 'Correct the function `count`'
        problems.add({ kind: 'failed_generator', table: name, column: null, message, fix })
        count = 0
      }
    }
    const total = spec.rows.length + count
    for (let nth = 0; nth < total; nth++) slots.push({ parent, nth, given: spec.rows[nth] ?? null })
  })
  return slots
}

function fillColumn(
  { name, spec }: AnyTable,
  column: string,
  slots: readonly Slot[],
  rows: readonly MutableRow[],
  seed: number,
  references: References,
  problems: Problems,
): void {
  const how: Column = spec.columns[column]
  const random = cellRandoms(columnSeed(seed, `${name}.${column}`))
  const make = maker(how, name, column, references)
  for (const [index, { parent, nth, given }] of slots.entries()) {
    const row = rows[index]!
    if (given !== null && Object.hasOwn(given, column)) continue
    try {
      row[column] = make({ index, nth, count: slots.length, random: random(index), row, parent })
    } catch (error) {
      row[column] = undefined
      const message = `its value cannot be made: ${messageOf(error)}`
      problems.add(
        { kind: 'failed_generator', table: name, column, message, fix: 'Correct its function' },
        index,
      )
    }
  }
}

function maker(
  how: Column,
  table: string,
  column: string,
  references: References,
): (context: CellContext) => SeedValue {
  if (typeof how === 'function') return how as (context: CellContext) => SeedValue
  if (!isGenerator(how)) return () => how
  if (isReference(how)) return references.resolver(table, column, how)
  if (isThrough(how)) return references.follower(table, column, how)
  return how.make
}
