import { InvalidOptionError } from '../errors.ts'
import { assertKnownOptions } from '../known-options.ts'
import type { CellContext, Generator } from './generators.ts'
import type { SeedRow, SeedValue } from './values.ts'

/** How a column gets its values: a generator, a function of the cell, or the same value for every row. */
export type Column<T = SeedValue, Parent = SeedRow | null> =
  | Generator<T>
  | ((context: CellContext<Parent>) => T)
  | T

/** Columns by name, made in the order they are written. */
export type Columns<Parent> = { readonly [column: string]: Column<SeedValue, Parent> }

/** The row that a set of columns makes. */
export type RowOf<C> = {
  [K in keyof C]: C[K] extends Generator<infer T> ? T : C[K] extends (...args: never) => infer T ? T : C[K]
}

/**
 * One table of the plan. The row type is known to the compiler only: it carries the names and types for
 * references.
 */
export interface Table<Row extends object = SeedRow> {
  readonly name: string
  readonly spec: TableSpec
  /** Never there at run time. */
  readonly rowType?: Row
}

/** A table of any row type. */
export type AnyTable = Table<object>

/** The row of a parent, null where there is none. */
export type ParentRow<P> = P extends Table<infer Row> ? Readonly<Row> : null

/** Rows to make: so many, or as many as a function of the parent says. */
export type Count<Parent> =
  | number
  | ((context: Pick<CellContext<Parent>, 'parent' | 'random' | 'index'>) => number)

/** What `table` keeps, with the types of its columns forgotten. */
export interface TableSpec {
  readonly per: AnyTable | null
  readonly count: Count<SeedRow | null>
  readonly rows: readonly SeedRow[]
  readonly columns: { readonly [column: string]: Column }
}

/** The description of a table's rows. At least one of `count` and `rows` must be given. */
export interface TableDescription<P extends AnyTable | undefined, C, Row> {
  /** Makes the rows once for each row of this table, which is then `parent`. */
  readonly per?: P
  /** Generated rows, for each parent where there is one; at most 5,000,000. @default 0 */
  readonly count?: Count<ParentRow<P>>
  /**
   * Explicit rows, before the generated ones and for each parent where there is one. A column they leave out
   * is made as for a generated row.
   */
  readonly rows?: readonly Partial<Row>[]
  readonly columns: C
}

/**
 * A table of the plan, named as `schema.table`, without quotes and in the case the catalog has it.
 *
 *     const tenants = table('app.tenants', {
 *       per: workspaces, count: 20,
 *       columns: { id: uuid.v4(), workspace_id: ({ parent }) => parent.id, external_id: uuid.v4() },
 *     })
 *
 * @throws InvalidOptionError when the name, the count or the rows cannot be meant
 */
export function table<
  P extends AnyTable | undefined = undefined,
  C extends Columns<ParentRow<P>> = Columns<ParentRow<P>>,
>(name: string, description: TableDescription<P, C, RowOf<NoInfer<C>>>): Table<RowOf<C>> {
  return build(name, description as Description)
}

/**
 * As `table`, with the columns checked against a row type of yours, such as Kysely's
 * `Insertable<TenantTable>`.
 */
export function tableOf<Row extends object>(): <P extends AnyTable | undefined = undefined>(
  name: string,
  description: TableDescription<P, { readonly [K in keyof Row]: Column<Row[K], ParentRow<P>> }, Row>,
) => Table<Row> {
  return (name, description) => build(name, description as unknown as Description)
}

type Description = Partial<Omit<TableSpec, 'columns'>> & Pick<TableSpec, 'columns'>

function build<Row extends object>(name: string, description: Description): Table<Row> {
  if (!/^[^.\s"]+\.[^.\s"]+$/.test(name)) {
    throw new InvalidOptionError('table name', name, "'schema.table', without quotes, such as 'app.tenants'")
  }
  assertKnownOptions(`the table ${name}`, description, ['per', 'count', 'rows', 'columns'])
  const { per, count, rows, columns } = description
  if (count === undefined && rows === undefined) {
    throw new InvalidOptionError(`count of ${name}`, count, 'a number of rows, or `rows`, or both')
  }
  if (typeof count === 'number') assertCount(name, count)
  const spec: TableSpec = { per: per ?? null, count: count ?? 0, rows: rows ?? [], columns }
  return Object.freeze({ name, spec: Object.freeze(spec) })
}

/** More rows than this do not fit the memory in which a plan is checked before it is written. */
const MAX_ROWS = 5_000_000

export function assertCount(name: string, count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > MAX_ROWS) {
    throw new InvalidOptionError(`count of ${name}`, count, `an integer from 0 to ${MAX_ROWS}`)
  }
}
