import { show } from '../errors.ts'
import type { SeedValue } from '../plan/values.ts'
import type { CatalogColumn } from './catalog.ts'

/**
 * A value as Postgres reads it from text; null for NULL; undefined where the database's default is wanted.
 */
export type Encoded = string | null | undefined

/** Why a value has no text form, as the end of "has a value that …". */
export class NotEncodable extends Error {}

/**
 * The text form of a value for a column. In json and jsonb columns everything but null is JSON, a string as
 * well; elsewhere arrays are Postgres arrays and other objects are JSON text.
 *
 * @throws NotEncodable
 */
export function encode(value: SeedValue, column: Pick<CatalogColumn, 'base' | 'isArray'>): Encoded {
  if (value === undefined || value === null) return value
  if (column.base === 'json' || column.base === 'jsonb') return checked(toJson(value))
  const text = encodeScalar(value, column)
  return checked(column.base === 'uuid' ? text.toLowerCase() : text)
}

function encodeScalar(
  value: NonNullable<SeedValue>,
  column: Pick<CatalogColumn, 'base' | 'isArray'>,
): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return Object.is(value, -0) ? '0' : String(value)
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new NotEncodable('is an invalid Date')
    return value.toISOString()
  }
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value) && column.isArray) return encodeArray(value, column.base)
  if (typeof value === 'object') return toJson(value)
  throw new NotEncodable(`is a ${typeof value}`)
}

function encodeArray(values: readonly SeedValue[], base: string): string {
  const element = { base: base.replace(/^_/, ''), isArray: true }
  const parts = values.map((value) => {
    if (Array.isArray(value) && element.base !== 'json' && element.base !== 'jsonb')
      return encodeArray(value, base)
    const text = encode(value, element)
    return text === null || text === undefined ? 'NULL' : `"${text.replaceAll(/[\\"]/g, '\\$&')}"`
  })
  return `{${parts.join(',')}}`
}

function toJson(value: NonNullable<SeedValue>): string {
  try {
    const text = JSON.stringify(value)
    if (text !== undefined) return text
  } catch {
    // a bigint or a circle: said below
  }
  throw new NotEncodable(`JSON cannot hold: ${show(typeof value)}`)
}

/** JSON escapes both by itself, so what is left of them here is text. */
function checked(text: string): string {
  if (text.includes('\u0000')) throw new NotEncodable('holds a NUL character, which Postgres text cannot')
  if (!text.isWellFormed()) throw new NotEncodable('holds a lone surrogate, which UTF-8 cannot')
  return text
}
