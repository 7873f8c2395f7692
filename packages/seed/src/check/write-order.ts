import { type Need, orderTables } from '../plan/order.ts'
import { shapesOf } from '../write/shapes.ts'
import { type EncodedTable, keysOf } from './encoded-table.ts'
import type { Problems } from './problem.ts'

export interface WriteOrder {
  readonly tables: readonly EncodedTable[]
  /** Constraints, quoted, that are checked at the commit because no order satisfies them row by row. */
  readonly deferred: readonly string[]
}

interface KeyNeed extends Need {
  readonly constraint: string
}

/** Parents before children, by the foreign keys that the rows really use. */
export function writeOrder(plan: ReadonlyMap<string, EncodedTable>, problems: Problems): WriteOrder {
  const needs: KeyNeed[] = []
  const deferred = new Set<string>()
  for (const encoded of plan.values()) {
    for (const { columns, parent, parentColumns, isDeferrable, constraint } of encoded.catalog.foreignKeys) {
      const keys = keysOf(encoded, columns)
      if (!keys.some((key) => key !== null)) continue
      needs.push({ table: encoded.name, before: parent, breakable: isDeferrable, constraint })
      if (parent !== encoded.name || !pointsForward(encoded, keys, parentColumns)) continue
      if (isDeferrable) deferred.add(constraint)
      else {
        problems.add({
          kind: 'reference_cycle',
          table: encoded.name,
          column: columns.join(', '),
          message: `points to rows of its own table that are written later (${constraint})`,
          fix: 'Put the rows it points to first, or make the constraint deferrable',
        })
      }
    }
  }
  const order = orderTables([...plan.keys()], needs)
  if (order.cycle !== null) {
    const constraints = needs.filter((n) => order.cycle!.includes(n.table) && order.cycle!.includes(n.before))
    problems.add({
      kind: 'reference_cycle',
      table: order.cycle[0]!,
      column: null,
      message: `points in a circle: ${[...order.cycle, order.cycle[0]].join(' → ')}`,
      fix:
        `Make one of ${constraints.map(({ constraint }) => constraint).join(', ')} deferrable, ` +
        'or give its column null in every row',
    })
  }
  for (const { constraint } of order.broken) deferred.add(constraint)
  return { tables: order.tables.map((name) => plan.get(name)!), deferred: [...deferred] }
}

/** Whether a row comes before the one it points to, in the order in which they are written. */
function pointsForward(
  encoded: EncodedTable,
  keys: readonly (string | null | undefined)[],
  parentColumns: readonly string[],
): boolean {
  const parents = keysOf(encoded, parentColumns)
  const positions = new Map<string, number>()
  const order = shapesOf(encoded).flatMap(({ rows }) => rows)
  order.forEach((row, position) => {
    const key = parents[row]
    if (typeof key === 'string') positions.set(key, position)
  })
  return order.some((row, position) => {
    const key = keys[row]
    return typeof key === 'string' && (positions.get(key) ?? 0) > position
  })
}
