import { describeProblem, Problems } from '../../src/check/problem.ts'
import type { Generator } from '../../src/plan/generators.ts'
import { makeRows } from '../../src/plan/make-rows.ts'
import { type AnyTable, table } from '../../src/plan/table.ts'
import type { SeedRow, SeedValue } from '../../src/plan/values.ts'

/** The rows of a plan by table, without a database; throws what the plan lacks. */
export function make(tables: readonly AnyTable[], seed = 1): Record<string, readonly SeedRow[]> {
  const problems = new Problems()
  const rows = makeRows(tables, seed, problems)
  if (problems.list.length > 0) throw new Error(problems.list.map(describeProblem).join('\n'))
  return Object.fromEntries(rows.map((made) => [made.name, made.rows]))
}

export const makeColumn = (column: Generator, count: number): SeedValue[] =>
  make([table('app.one', { count, columns: { value: column } })])['app.one']!.map((row) => row.value)
