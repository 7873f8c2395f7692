import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../src/canonical-json.ts'
import { plainSnapshot } from '../src/json-snapshot.ts'

const anyJson = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 })

/** Few leaves and keys, so that two draws are often equal, or differ only in a type, a place or an order. */
const { value: closeJson } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<unknown>(0, -0, 1, '0', '1', '', null, 'null', true, 'true', '[]', 'a', 'é', 'e\u0301'),
    fc.array(tie('value'), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('a', 'b', '1', '10', '2', '__proto__', ''), tie('value'), { maxKeys: 2 }),
  ),
}))

/** What a JSON text of the value says: `-0` is `0`, undefined members are gone. */
function said(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** The same value with the keys of every object in another order. */
function shuffled(value: unknown, random: () => number): unknown {
  if (Array.isArray(value)) return value.map((element) => shuffled(element, random))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, member]) => ({ key, member, order: random() }))
  const copy: Record<string, unknown> = Object.create(null)
  for (const { key, member } of entries.sort((a, b) => a.order - b.order))
    copy[key] = shuffled(member, random)
  return copy
}

function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state
  }
}

type Canonicalize = (value: unknown) => string

const ignoresKeyOrder = (canonicalize: Canonicalize) =>
  fc.property(anyJson, fc.nat(), (value, seed) => {
    expect(canonicalize(shuffled(value, numbers(seed)))).toBe(canonicalize(value))
  })

const pairs = fc.oneof(
  fc.tuple(closeJson, closeJson),
  fc.tuple(closeJson, fc.nat()).map(([value, seed]) => [value, shuffled(value, numbers(seed))] as const),
)

const tellsValuesApart = (canonicalize: Canonicalize) =>
  fc.property(pairs, ([a, b]) => {
    expect(canonicalize(a) === canonicalize(b)).toBe(isDeepStrictEqual(said(a), said(b)))
  })

const saysTheValue = (canonicalize: Canonicalize) =>
  fc.property(fc.oneof(anyJson, closeJson), (value) => {
    expect(isDeepStrictEqual(JSON.parse(canonicalize(value)), said(value))).toBe(true)
  })

/** A mutant that a property must catch: fixed seed, so that it is caught every time or never. */
function caught(property: fc.IProperty<unknown>): boolean {
  return fc.check(property, { seed: 20_260_101, numRuns: 2_000 }).failed
}

const coercing: Canonicalize = (value) => canonicalJson(value).replaceAll('"1"', '1')
const normalizing: Canonicalize = (value) => canonicalJson(value).normalize('NFC')
const dropsProto: Canonicalize = (value) => canonicalJson(value).replaceAll(/"__proto__":(\d|"\d"),?/g, '')

describe('canonicalJson', () => {
  it('ignores the order of keys at all depths', () => {
    fc.assert(ignoresKeyOrder(canonicalJson))
    expect(caught(ignoresKeyOrder(JSON.stringify))).toBe(true)
  })

  it('gives different values different texts, and equal values the same', () => {
    fc.assert(tellsValuesApart(canonicalJson), { numRuns: 2_000 })
    expect(caught(tellsValuesApart(JSON.stringify))).toBe(true)
    expect(caught(tellsValuesApart(coercing))).toBe(true)
    expect(caught(tellsValuesApart(normalizing))).toBe(true)
  })

  it('can be parsed back into the value', () => {
    fc.assert(saysTheValue(canonicalJson), { numRuns: 1_000 })
    expect(caught(saysTheValue(coercing))).toBe(true)
    expect(caught(saysTheValue(dropsProto))).toBe(true)
  })

  it('treats an undefined member as absent, and null as a value', () => {
    expect(canonicalJson({ a: undefined, b: { c: undefined } })).toBe('{"b":{}}')
    expect(canonicalJson({ a: null })).toBe('{"a":null}')
  })

  it('sorts keys that look like integers as text', () => {
    expect(canonicalJson({ 10: 'a', 9: 'b', 1: 'c', '-1': 'd', '': 'e' })).toBe(
      '{"":"e","-1":"d","1":"c","10":"a","9":"b"}',
    )
  })

  it('keeps an own __proto__ key, and takes objects without a prototype', () => {
    const parsed: unknown = JSON.parse('{"b":1,"__proto__":{"a":2},"constructor":3,"toJSON":4}')
    expect(canonicalJson(parsed)).toBe('{"__proto__":{"a":2},"b":1,"constructor":3,"toJSON":4}')
    expect(canonicalJson(Object.assign(Object.create(null), { b: 1, a: 2 }))).toBe('{"a":2,"b":1}')
  })

  it('reads each member once, so that the text says what was checked', () => {
    const reads: string[] = []
    const shifting = new Proxy<Record<string, unknown>>(
      { a: 0, b: 0 },
      {
        get: (_target, key) => {
          if (key === 'toJSON') return undefined
          reads.push(String(key))
          return reads.length > 2 ? Number.NaN : reads.length
        },
      },
    )
    expect(canonicalJson(shifting)).toBe('{"a":1,"b":2}')
    expect(reads).toEqual(['a', 'b'])
  })

  it('is made from a copy that is frozen at all depths', () => {
    const original = { a: [{ b: 1 }] }
    const copy = plainSnapshot(original) as unknown as typeof original
    original.a[0]!.b = 2
    expect(copy.a[0]!.b).toBe(1)
    expect([copy, copy.a, copy.a[0]].every(Object.isFrozen)).toBe(true)
  })
})
