/** What a plan can lack. The word is stable; the sentence beside it may change. */
export type ProblemKind =
  | 'unknown_table'
  | 'unknown_column'
  | 'missing_value'
  | 'missing_parent'
  | 'unique_clash'
  | 'wrong_uuid_version'
  | 'too_long'
  | 'unknown_enum_value'
  | 'invalid_value'
  | 'generated_column'
  | 'reference_cycle'
  | 'failed_generator'

/** One requirement that the plan does not meet, and what would meet it. */
export interface Problem {
  readonly kind: ProblemKind
  readonly table: string
  /** Null where the whole table is meant; several, joined by a comma, for a key of several columns. */
  readonly column: string | null
  /** What is wrong. */
  readonly message: string
  /** What to add or to change. */
  readonly fix: string
  /** How many rows it concerns; 0 where it is not about rows. */
  readonly rows: number
  /** The first of them, by its number in the table from 0; null where it is not about rows. */
  readonly firstRow: number | null
}

/** One line of a report. */
export function describeProblem(problem: Problem): string {
  const where = problem.column === null ? problem.table : `${problem.table}.${problem.column}`
  const rows =
    problem.firstRow === null
      ? ''
      : problem.rows === 1
        ? ` (row ${problem.firstRow})`
        : ` (${problem.rows} rows, first row ${problem.firstRow})`
  return `${where}: ${problem.message}${rows}. ${problem.fix} [${problem.kind}]`
}

/** Collects problems: rows with the same fault of the same column are one problem with a count. */
export class Problems {
  readonly #byKey = new Map<string, Problem>()

  add(problem: Omit<Problem, 'rows' | 'firstRow'>, row: number | null = null): void {
    const key = JSON.stringify([problem.kind, problem.table, problem.column])
    const known = this.#byKey.get(key)
    if (known !== undefined && row === null) return
    const rows = row === null ? 0 : (known?.rows ?? 0) + 1
    this.#byKey.set(key, { ...(known ?? problem), rows, firstRow: known?.firstRow ?? row })
  }

  /** Whether something is reported on this column already, so that its consequences need not be. */
  has(table: string, column: string): boolean {
    for (const problem of this.#byKey.values()) {
      if (problem.table === table && problem.column === column) return true
    }
    return false
  }

  get list(): Problem[] {
    return [...this.#byKey.values()]
  }
}
