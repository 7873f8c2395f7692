/**
 * Items as the text of a Postgres array: what a text parameter can carry to a function that casts it, whatever a host's
 * driver makes of arrays. Null is SQL's null.
 */
export function arrayLiteral<T>(items: readonly T[], read: (item: T) => string | number | null): string {
  let literal = '{'
  for (const item of items) {
    const value = read(item)
    if (literal.length > 1) literal += ','
    if (value === null) literal += 'NULL'
    else if (typeof value === 'number') literal += value
    else literal += NEEDS_ESCAPE.test(value) ? `"${value.replace(ESCAPED, '\\$&')}"` : `"${value}"`
  }
  return `${literal}}`
}

const NEEDS_ESCAPE = /["\\]/
const ESCAPED = /["\\]/g
