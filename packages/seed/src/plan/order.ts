/** An edge from a table to one that must come before it. */
export interface Need {
  readonly table: string
  readonly before: string
  /** Whether the order may be broken here to get out of a cycle. */
  readonly breakable: boolean
}

export interface Order<N extends Need> {
  readonly tables: readonly string[]
  /** The needs that this order does not meet; all breakable. */
  readonly broken: readonly N[]
  /**
   * The tables of a cycle without a breakable need, or null. Then `tables` lacks them and what needs them.
   */
  readonly cycle: readonly string[] | null
}

/**
 * Tables so that each comes after what it needs, otherwise in the order given. Where there is a cycle, the
 * first table that waits for breakable needs only goes ahead of them.
 */
export function orderTables<N extends Need>(tables: readonly string[], needs: readonly N[]): Order<N> {
  const known = new Set(tables)
  const relevant = needs.filter(
    ({ table, before }) => known.has(table) && known.has(before) && table !== before,
  )
  const ordered: string[] = []
  const placed = new Set<string>()
  const broken: N[] = []
  const open = (table: string): N[] =>
    relevant.filter((need) => need.table === table && !placed.has(need.before))

  while (ordered.length < tables.length) {
    const waiting = tables.filter((table) => !placed.has(table))
    const next =
      waiting.find((table) => open(table).length === 0) ??
      waiting.find((table) => open(table).every((need) => need.breakable) && isInCycle(table, open))
    if (next === undefined) return { tables: ordered, broken, cycle: findCycle(waiting, open) }
    broken.push(...open(next))
    placed.add(next)
    ordered.push(next)
  }
  return { tables: ordered, broken, cycle: null }
}

/** Whether the table waits for itself: one that only waits behind a cycle is not the place to break it. */
function isInCycle(start: string, open: (table: string) => readonly Need[]): boolean {
  const seen = new Set<string>()
  const stack = [start]
  for (let table = stack.pop(); table !== undefined; table = stack.pop()) {
    for (const { before } of open(table)) {
      if (before === start) return true
      if (!seen.has(before)) stack.push(before)
      seen.add(before)
    }
  }
  return false
}

/** Every waiting table waits for another one, so walking along the waits comes back to where it was. */
function findCycle(waiting: readonly string[], open: (table: string) => readonly Need[]): string[] {
  const path: string[] = []
  let table = waiting[0]!
  while (!path.includes(table)) {
    path.push(table)
    const needs = open(table)
    table = (needs.find((need) => !need.breakable) ?? needs[0]!).before
  }
  return path.slice(path.indexOf(table))
}
