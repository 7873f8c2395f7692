import type { CatalogColumn, CatalogTable } from '../catalog/catalog.ts'
import { isGenerator } from '../plan/generators.ts'
import type { Rule } from '../plan/rules.ts'
import type { AnyTable } from '../plan/table.ts'
import type { EncodedTable } from './encoded-table.ts'
import type { Problems } from './problem.ts'

/** NOT NULL, by the catalog or by a rule, and a row that has neither a value nor a default. */
export function checkRequiredValues(
  encoded: EncodedTable,
  table: AnyTable,
  rules: ReadonlyMap<string, Rule>,
  problems: Problems,
): void {
  const { name, catalog, rowCount } = encoded
  for (const column of catalog.columns.values()) {
    const rule = rules.get(column.name) ?? 'any'
    const isRequired = column.isNotNull || rule !== 'any'
    if (!isRequired || rowCount === 0 || column.isGenerated || problems.has(name, column.name)) continue
    const how = table.spec.columns[column.name]
    if (isGenerator(how) && how.generator === 'filledByDatabase') continue
    // A rule about the value itself cannot be checked on what the database will fill in.
    const mayBeLeftOut = column.isFilled && !rule.startsWith('uuid')
    const values = encoded.columns.get(column.name)
    const why = column.isNotNull ? 'is NOT NULL' : `must not be null (rule '${rule}')`
    const add = (what: string, fix: string, row?: number) =>
      problems.add(
        { kind: 'missing_value', table: name, column: column.name, message: `${why} ${what}`, fix },
        row,
      )
    const fix = suggestValue(column, catalog, rule)
    if (values === undefined) {
      const what = column.isFilled
        ? `and its default cannot be checked`
        : 'without a default, and the plan gives no value'
      if (!mayBeLeftOut) add(what, fix)
      continue
    }
    values.forEach((value, row) => {
      if (value === null)
        add('and gets null', column.isFilled ? `${fix}, or undefined for its default` : fix, row)
      else if (value === undefined && !mayBeLeftOut) add('and gets no value', fix, row)
    })
  }
}

/** What to write into the plan, as near as the catalog can tell. */
function suggestValue(column: CatalogColumn, table: CatalogTable, rule: Rule = 'any'): string {
  const { name, base, enumLabels } = column
  const key = table.foreignKeys.find(({ columns }) => columns.includes(name))
  if (key !== undefined) {
    const target = key.parentColumns[key.columns.indexOf(name)]!
    return `Add ${name}: ref('${key.parent}', '${target}')`
  }
  if (rule === 'uuid.v7') return `Add ${name}: uuid.v7()`
  if (base === 'uuid' || rule.startsWith('uuid')) return `Add ${name}: uuid.v4()`
  if (enumLabels !== null)
    return `Add ${name}: oneOf([${enumLabels.map((label) => `'${label}'`).join(', ')}])`
  if (/^int[248]$/.test(base)) return `Add ${name}: serial() or integer(min, max)`
  if (/^(timestamp|date)/.test(base)) return `Add ${name}: instant()`
  if (base === 'bool') return `Add ${name}: false`
  if (/^(text|varchar|bpchar|citext)$/.test(base)) return `Add ${name}: ({ index }) => \`${name} \${index}\``
  return `Add ${name} with a value of type ${column.type}`
}
