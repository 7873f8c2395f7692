import { OpsLedgerError } from '@opsledger/core'
import { describe, expect, it } from 'vitest'
import { CanonicalJsonError, canonicalJson } from '../src/canonical-json.ts'

class Invoice {
  readonly total = 1
}

function cyclic(): object {
  const inner: Record<string, unknown> = {}
  inner.list = [{ inner }]
  return inner
}

function recursing(): object {
  const value = { toJSON: (): unknown => value.toJSON() }
  return value
}

function endless(): object {
  return { toJSON: () => ({ next: endless() }) }
}

/** Each is put at `$.filter.since[2]`, or found below it where a path says so. */
const REFUSED: [kind: string, value: unknown, found: string, below?: string][] = [
  ['NaN', Number.NaN, 'NaN'],
  ['infinity', Number.POSITIVE_INFINITY, 'Infinity'],
  ['negative infinity', Number.NEGATIVE_INFINITY, '-Infinity'],
  ['a BigInt', 1n, 'a BigInt'],
  ['a symbol', Symbol('secret-value'), 'a symbol'],
  ['a function', () => 1, 'a function'],
  ['undefined in an array', undefined, 'undefined'],
  ['a Map', new Map([['a', 1]]), 'a Map'],
  ['a Map in disguise', Object.setPrototypeOf(new Map(), null), 'a Map'],
  ['a Set', new Set([1]), 'a Set'],
  ['a boxed number', Object(1), 'a boxed primitive'],
  ['a boxed string', Object('a'), 'a boxed primitive'],
  ['a boxed BigInt', Object(1n), 'a boxed primitive'],
  ['a class instance', new Invoice(), 'an instance of Invoice'],
  ['an error', new Error('secret-value'), 'an instance of Error'],
  ['a regular expression', /secret-value/, 'an instance of RegExp'],
  ['a promise', Promise.resolve(1), 'an instance of Promise'],
  ['bytes', new Uint8Array(2), 'an instance of Uint8Array'],
  ['an array of a subclass', new (class Page extends Array {})(), 'an instance of Page'],
  ['an object that inherits members', Object.create({ a: 1 }), 'an instance of Object'],
  ['an invalid Date', new Date(Number.NaN), 'an invalid Date'],
  ['a lone high surrogate', 'a\ud800', 'a string with a lone surrogate'],
  ['a lone low surrogate', '\udc00a', 'a string with a lone surrogate'],
  ['a key with a lone surrogate', { '\ud800': 1 }, 'a key with a lone surrogate', String.raw`["\ud800"]`],
  ['a hole', new Array(1), 'a hole', '[0]'],
  ['a huge sparse array', new Array(4_000_000_000), 'more than 1048576 bytes of canonical text'],
  ['an array with a name', Object.assign([1], { page: 1 }), 'an array with named properties'],
  ['a symbol key', { [Symbol('a')]: 1 }, 'a symbol key'],
  ['an accessor', Object.defineProperty({}, 'a', { get: () => 1, enumerable: true }), 'an accessor', '.a'],
  ['a hidden property', Object.defineProperty({}, 'a', { value: 1 }), 'a hidden property', '.a'],
  ['a cycle', cyclic(), 'a cycle', '.list[0].inner'],
  ['a toJSON that throws', { toJSON: () => JSON.parse('{') }, 'a toJSON that throws'],
  ['a toJSON that recurses', recursing(), 'a toJSON that throws'],
  ['a toJSON without end', endless(), 'more than 64 levels of nesting', '.next'.repeat(61)],
  ['a toJSON for another', { toJSON: () => new Date(0) }, 'a toJSON that returns no plain form'],
  ['a toJSON of nothing', { toJSON: () => undefined }, 'undefined'],
  ['a toJSON of a Map', { toJSON: () => new Map() }, 'a Map'],
  [
    'a toJSON behind an accessor',
    {
      get toJSON() {
        return () => 1
      },
    },
    'an accessor',
    '.toJSON',
  ],
  ['an odd key', { 'é \n': { b: 1n } }, 'a BigInt', String.raw`["\u00e9 \n"].b`],
  ['a long key', { ['k'.repeat(99)]: 1n }, 'a BigInt', `["${'k'.repeat(64)}..."]`],
]

const PROXIES: [trap: string, value: object][] = [
  ['get', new Proxy({ a: 1 }, { get: () => raise() })],
  ['getPrototypeOf', new Proxy({}, { getPrototypeOf: () => raise() })],
  ['ownKeys', new Proxy({}, { ownKeys: () => raise() })],
  ['getOwnPropertyDescriptor', new Proxy({ a: 1 }, { getOwnPropertyDescriptor: () => raise() })],
]

function raise(): never {
  throw new TypeError('from the proxy')
}

function refusalOf(value: unknown): CanonicalJsonError {
  try {
    canonicalJson(value)
  } catch (error) {
    expect(error).toBeInstanceOf(CanonicalJsonError)
    return error as CanonicalJsonError
  }
  throw new Error('nothing was refused')
}

describe('canonicalJson refuses what JSON cannot say', () => {
  it.each(REFUSED)('%s', (_kind, value, found, below = '') => {
    const error = refusalOf({ filter: { since: [1, 'x', value] } })
    expect(error.path).toBe(`$.filter.since[2]${below}`)
    expect(error.found).toBe(found)
    expect(error.message).toContain(`${error.path} cannot be put into canonical JSON: found ${found}; `)
    expect(error.message).not.toContain('secret-value')
  })

  it.each(PROXIES)('a Proxy whose %s trap throws, with the cause kept', (_trap, value) => {
    const error = refusalOf({ job: value })
    expect(error.path).toMatch(/^\$\.job(\.a)?$/)
    expect(error.cause).toEqual(new TypeError('from the proxy'))
  })

  it('a revoked Proxy', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect(refusalOf([proxy]).path).toBe('$[0]')
  })

  it('a Proxy that answers no number for a length', () => {
    const get = (target: unknown[], key: string | symbol) =>
      key === 'length' ? Number.NaN : Reflect.get(target, key)
    expect(refusalOf(new Proxy([1], { get })).path).toBe('$')
  })

  it('undefined and the rest at the root, under the name it was given', () => {
    expect(refusalOf(undefined).path).toBe('$')
    expect(() => canonicalJson({ at: 1n }, 'payload')).toThrow(/^payload\.at cannot be put/)
  })

  it('with an error of the family that has a stable code', () => {
    const error = refusalOf(1n)
    expect(error).toBeInstanceOf(OpsLedgerError)
    expect(error).toMatchObject({ name: 'CanonicalJsonError', code: 'no_canonical_form' })
  })
})
