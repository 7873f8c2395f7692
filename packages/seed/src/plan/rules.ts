import { InvalidOptionError } from '../errors.ts'

/** What a column must hold beyond what the catalog asks. A UUID rule means NOT NULL as well. */
export type Rule = 'uuid' | 'uuid.v4' | 'uuid.v7' | 'not null' | 'any'

/** Rules by table (`schema.table`) and column. */
export type Requirements = Readonly<Record<string, Readonly<Record<string, Rule>>>>

/**
 * Holds in every schema for tables of these names, for the columns they have: a tenant is known elsewhere by
 * a random UUID and belongs to a workspace. `require` replaces a rule; `'any'` lifts it.
 */
export const DEFAULT_RULES: Requirements = Object.freeze({
  tenant: Object.freeze({ external_id: 'uuid.v4', workspace_id: 'not null' }),
  tenants: Object.freeze({ external_id: 'uuid.v4', workspace_id: 'not null' }),
})

const RULES: readonly string[] = ['uuid', 'uuid.v4', 'uuid.v7', 'not null', 'any']

export function assertRequirements(requirements: Requirements, tables: readonly string[]): void {
  for (const [table, columns] of Object.entries(requirements)) {
    if (!tables.includes(table)) {
      throw new InvalidOptionError('require', table, `tables of the plan: ${tables.join(', ')}`)
    }
    for (const [column, rule] of Object.entries(columns)) {
      if (!RULES.includes(rule)) {
        throw new InvalidOptionError(`require['${table}'].${column}`, rule, RULES.join(', '))
      }
    }
  }
}

/** The rules of one table; those of `require` are asked for even where the column is missing. */
export function rulesOf(
  table: string,
  columns: ReadonlySet<string>,
  requirements: Requirements,
): ReadonlyMap<string, Rule> {
  const conventions = DEFAULT_RULES[table.slice(table.indexOf('.') + 1)] ?? {}
  return new Map([
    ...Object.entries(conventions).filter(([column]) => columns.has(column)),
    ...Object.entries(requirements[table] ?? {}),
  ])
}
