import stringify from 'fast-json-stable-stringify'
import { type Json, plainSnapshot } from './json-snapshot.ts'

export { CanonicalJsonError } from './canonical-json-error.ts'
export type { Json } from './json-snapshot.ts'
export { DEFAULT_MAX_CANONICAL_BYTES, DEFAULT_MAX_DEPTH } from './json-walk.ts'

/**
 * The RFC 8785 text of a value: one text per JSON value, whatever the order of its keys.
 *
 * Equal: key orders, `1` and `1.0`, `-0` and `0`, an undefined and an absent member, an object with `toJSON` (such as
 * a Date) and what that returns. Different: a string and the number it spells, `null` and absent, strings that only
 * Unicode normalization would make equal.
 *
 * What JSON cannot say is refused with {@link CanonicalJsonError}, never dropped or replaced as `JSON.stringify` would:
 * NaN and infinities, BigInt, symbols, functions, Map, Set, boxed primitives, instances of a class without `toJSON`,
 * invalid dates, cycles, lone surrogates, holes and undefined in arrays, symbol keys, hidden properties, named
 * properties on arrays. Accessors are refused unread: what they answer may change from one read to the next. Each
 * member is read once, into a plain copy; that copy is what becomes the text.
 *
 * @param path what the value is called in a refusal
 */
export function canonicalJson(value: unknown, path = '$'): string {
  return canonicalText(plainSnapshot(value, path))
}

/** The text of a value that {@link plainSnapshot} has already checked and copied. */
export function canonicalText(snapshot: Json): string {
  return stringify(snapshot)
}
