import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import {
  CanonicalJsonError,
  canonicalJson,
  DEFAULT_MAX_CANONICAL_BYTES,
  DEFAULT_MAX_DEPTH,
} from '../src/canonical-json.ts'

function nested(levels: number): unknown {
  let value: unknown = []
  for (let level = 1; level < levels; level++) value = [value]
  return value
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

describe('the limits of canonicalJson', () => {
  it('take the last allowed level and refuse the next', () => {
    expect(canonicalJson(nested(DEFAULT_MAX_DEPTH))).toBe('['.repeat(64) + ']'.repeat(64))
    expect(refusalOf(nested(DEFAULT_MAX_DEPTH + 1)).path).toBe(`$${'[0]'.repeat(64)}`)
  })

  it('refuse a hundred thousand levels without a stack overflow', () => {
    expect(refusalOf(nested(100_000)).found).toBe('more than 64 levels of nesting')
  })

  it('take the last allowed byte and refuse the next, in UTF-8', () => {
    const wrapped = (text: string) => ({ a: [true, null, -0, 1.5, text, false], b: { c: {}, d: [] } })
    const rest = Buffer.byteLength(canonicalJson(wrapped('')))
    const left = DEFAULT_MAX_CANONICAL_BYTES - rest
    expect(Buffer.byteLength(canonicalJson(wrapped('x'.repeat(left))))).toBe(DEFAULT_MAX_CANONICAL_BYTES)
    expect(refusalOf(wrapped('x'.repeat(left + 1))).found).toMatch(/^more than 1048576 bytes/)
    expect(refusalOf(wrapped('é'.repeat(left / 2 + 1))).found).toMatch(/^more than 1048576 bytes/)
  })

  it('refuse a small graph of shared objects that would become a huge text', () => {
    let value: unknown = {}
    for (let level = 0; level < 40; level++) value = [value, value]
    expect(refusalOf(value).found).toMatch(/^more than 1048576 bytes/)
  })
})

describe('canonicalJson accepts', () => {
  it('a toJSON that returns a plain form, with more of them inside', () => {
    expect(canonicalJson(new Date(0))).toBe('"1970-01-01T00:00:00.000Z"')
    expect(canonicalJson({ toJSON: () => ({ b: new Date(0), a: 1 }) })).toBe(
      '{"a":1,"b":"1970-01-01T00:00:00.000Z"}',
    )
    expect(canonicalJson(new URL('https://example.test/a'))).toBe('"https://example.test/a"')
  })

  it('plain values of another realm', () => {
    expect(canonicalJson(runInNewContext('({ b: [1, new Date(0)], a: {} })'))).toBe(
      '{"a":{},"b":[1,"1970-01-01T00:00:00.000Z"]}',
    )
  })

  it('the same object twice, when it is not inside itself', () => {
    const shared = { x: 1 }
    expect(canonicalJson([shared, { shared }])).toBe('[{"x":1},{"shared":{"x":1}}]')
  })
})
