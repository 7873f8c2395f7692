import type { Generator } from './generators.ts'
import type { AnyTable, Table } from './table.ts'
import type { SeedValue } from './values.ts'

/** Which row of the other table a reference points to. */
export interface RefOptions {
  /**
   * `in turn` spreads the rows evenly: row 0 to the first, row 1 to the next, and around. `random` draws. A
   * reference to the own table points to an earlier row, in turn as in a tree of two children per row, and is
   * null in the first.
   * @default 'in turn'
   */
  readonly pick?: 'in turn' | 'random'
}

/** A generator that needs rows of the plan: it is resolved where the rows are, not by its `make`. */
export interface Reference<T = SeedValue> extends Generator<T> {
  readonly to: { readonly table: string; readonly column: string; readonly pick: 'in turn' | 'random' }
}

/** A generator that follows a reference of the same row. */
export interface Through<T = SeedValue> extends Generator<T> {
  readonly follow: { readonly column: string; readonly then: string }
}

/** A value of a row of another table of the plan; by table or by name, by default its `id`. */
export function ref<Row extends object, K extends keyof Row & string>(
  table: Table<Row>,
  column: K,
  options?: RefOptions,
): Reference<Row[K]>
export function ref<Row extends { readonly id?: unknown }>(table: Table<Row>): Reference<Row['id']>
export function ref<T = SeedValue>(table: string, column?: string, options?: RefOptions): Reference<T>
export function ref(table: AnyTable | string, column = 'id', options: RefOptions = {}): Reference<never> {
  const name = typeof table === 'string' ? table : table.name
  return {
    generator: `ref('${name}', '${column}')`,
    make: unresolved,
    to: { table: name, column, pick: options.pick ?? 'in turn' },
  }
}

/**
 * Another column of the row that a reference of this row points to, so that the two agree:
 * `tenant_id: ref(tenants), workspace_id: through('tenant_id', 'workspace_id')`.
 */
export function through<T = SeedValue>(column: string, then: string): Through<T> {
  return { generator: `through('${column}', '${then}')`, make: unresolved, follow: { column, then } }
}

export const isReference = (generator: Generator): generator is Reference => 'to' in generator
export const isThrough = (generator: Generator): generator is Through => 'follow' in generator

function unresolved(): never {
  throw new Error('A reference is resolved among the rows of a plan, not called')
}
