import type { CatalogColumn } from '../catalog/catalog.ts'
import { show } from '../errors.ts'
import type { Rule } from '../plan/rules.ts'
import type { EncodedTable } from './encoded-table.ts'
import type { Problem, Problems } from './problem.ts'

type Fault = Pick<Problem, 'kind' | 'message' | 'fix'>

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{12}$/
const INTEGER_BITS: Readonly<Record<string, bigint>> = { int2: 16n, int4: 32n, int8: 64n }

/** Types whose values are judged here; the others are put to the database (`checkInput`). */
export const isJudgedHere = ({ base, isDomain, enumLabels }: CatalogColumn): boolean =>
  !isDomain && (enumLabels !== null || /^(text|varchar|bpchar|uuid|bool|int[248]|jsonb?)$/.test(base))

/**
 * Lengths, enum labels, UUIDs and their versions, integers: what the catalog tells without asking the
 * database.
 */
export function checkValidValues(
  { name, catalog, columns }: EncodedTable,
  rules: ReadonlyMap<string, Rule>,
  problems: Problems,
): void {
  for (const [column, rule] of rules) {
    if (rule === 'any' || catalog.columns.has(column)) continue
    const message = `the rule '${rule}' is about a column that the table does not have`
    const fix = 'Correct `require`, or add the column by a migration'
    problems.add({ kind: 'unknown_column', table: name, column, message, fix })
  }
  for (const [column, values] of columns) {
    const judge = judgeOf(catalog.columns.get(column)!, rules.get(column) ?? 'any')
    values.forEach((value, row) => {
      if (value === null || value === undefined) return
      for (const fault of judge(value)) problems.add({ ...fault, table: name, column }, row)
    })
  }
}

function judgeOf(column: CatalogColumn, rule: Rule): (value: string) => Fault[] {
  const { base, enumLabels, maxLength, type } = column
  const invalid = (value: string, fix: string): Fault[] => [
    { kind: 'invalid_value', message: `is ${type} and gets ${show(value)}`, fix },
  ]
  const bits = INTEGER_BITS[base]
  if (base === 'uuid' || rule.startsWith('uuid')) return (value) => judgeUuid(value, rule, invalid)
  if (enumLabels !== null) {
    const labels = new Set(enumLabels)
    const fix = `Use one of: ${enumLabels.join(', ')}`
    return (value) =>
      labels.has(value)
        ? []
        : [{ kind: 'unknown_enum_value', message: `is ${type} and gets ${show(value)}`, fix }]
  }
  if (maxLength !== null) {
    return (value) => {
      // Spaces at the end beyond the length are cut by Postgres, as the standard says.
      const length = value.length <= maxLength ? 0 : [...value.trimEnd()].length
      if (length <= maxLength) return []
      const message = `is ${type} and gets ${length} characters: ${show(value)}`
      return [{ kind: 'too_long', message, fix: `Keep it within ${maxLength} characters` }]
    }
  }
  if (bits !== undefined) {
    return (value) => {
      const isInside =
        /^[+-]?\d{1,20}$/.test(value) && BigInt.asIntN(Number(bits), BigInt(value)) === BigInt(value)
      return isInside ? [] : invalid(value, `Use an integer of ${bits} bits`)
    }
  }
  if (base === 'bool') {
    return (value) =>
      /^(true|false|t|f|yes|no|y|n|on|off|1|0)$/i.test(value) ? [] : invalid(value, 'Use true or false')
  }
  return () => []
}

function judgeUuid(value: string, rule: Rule, invalid: (value: string, fix: string) => Fault[]): Fault[] {
  const match = UUID.exec(value.toLowerCase())
  if (match === null) return invalid(value, 'Use uuid.v4(), or a UUID in its usual form')
  const wanted = rule.startsWith('uuid.v') ? rule.slice('uuid.v'.length) : null
  if (wanted === null || (match[1] === wanted && /[89ab]/.test(match[2]!))) return []
  const message = `must be a UUID of version ${wanted} and gets ${value}, which is of version ${match[1]}`
  return [{ kind: 'wrong_uuid_version', message, fix: `Use uuid.v${wanted}()` }]
}
