import type { Problems } from '../check/problem.ts'
import type { CellContext } from './generators.ts'
import type { Reference, Through } from './reference.ts'
import type { SeedRow, SeedValue } from './values.ts'

type Resolve = (context: CellContext) => SeedValue

/** Resolves references among the rows that are made, and remembers them for those that follow. */
export class References {
  readonly #made: ReadonlyMap<string, readonly SeedRow[]>
  readonly #problems: Problems
  readonly #references = new Map<string, Reference>()
  readonly #byValue = new Map<string, Map<SeedValue, SeedRow>>()

  constructor(made: ReadonlyMap<string, readonly SeedRow[]>, problems: Problems) {
    this.#made = made
    this.#problems = problems
  }

  resolver(table: string, column: string, reference: Reference): Resolve {
    const { to } = reference
    this.#references.set(key(table, column), reference)
    const targets = this.#made.get(to.table)
    if (targets === undefined) {
      return this.#unresolvable(
        table,
        column,
        `${to.table} is not in the plan`,
        `Add the table ${to.table} to \`tables\``,
      )
    }
    const isSelf = to.table === table
    if (targets.length === 0 && !isSelf) {
      return this.#unresolvable(
        table,
        column,
        `${to.table} has no rows in the plan`,
        `Give ${to.table} a count`,
      )
    }
    if (targets.length > 0 && !targets.some((row) => Object.hasOwn(row, to.column))) {
      const fix = `Give ${to.table} the column, such as serial() for a number that the database would count`
      return this.#unresolvable(table, column, `the plan gives ${to.table} no column ${to.column}`, fix)
    }
    return ({ index, random }) => {
      const candidates = isSelf ? index : targets.length
      if (candidates === 0) return null
      const turn = isSelf ? (index - 1) >> 1 : index % candidates
      return targets[to.pick === 'random' ? random.integer(0, candidates - 1) : turn]![to.column]
    }
  }

  follower(table: string, column: string, { follow }: Through): Resolve {
    const reference = this.#references.get(key(table, follow.column))
    if (reference === undefined) {
      const message = `it follows ${follow.column}, which is no ref(…) written before it`
      return this.#unresolvable(
        table,
        column,
        message,
        `Write ${follow.column}: ref(…) above it`,
        'failed_generator',
      )
    }
    return ({ row }) => {
      const value = row[follow.column]
      if (value === null || value === undefined) return null
      return this.#rowOf(reference, value)?.[follow.then]
    }
  }

  /** By value and not by position, because an explicit row may give the reference itself. */
  #rowOf({ to }: Reference, value: SeedValue): SeedRow | undefined {
    const name = key(to.table, to.column)
    let rows = this.#byValue.get(name)
    if (rows === undefined) {
      rows = new Map((this.#made.get(to.table) ?? []).map((row) => [row[to.column], row]))
      this.#byValue.set(name, rows)
    }
    return rows.get(value)
  }

  #unresolvable(
    table: string,
    column: string,
    message: string,
    fix: string,
    kind: 'missing_parent' | 'failed_generator' = 'missing_parent',
  ): Resolve {
    this.#problems.add({ kind, table, column, message, fix })
    return () => undefined
  }
}

const key = (table: string, column: string): string => `${table}.${column}`
