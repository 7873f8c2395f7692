import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fingerprint } from '../src/fingerprint.ts'

interface FetchJob {
  policyId: string
  since?: string | null
  until?: string | null
  filter?: Record<string, unknown>
  traceId?: string
}

const KEY = 'sixteen bytes ok'
const json = fc.jsonValue({ stringUnit: 'binary', maxDepth: 3 })
const payloads = fc.record({ a: json, b: json, c: json, noise: json })
const ofAbc = fingerprint<{ a: unknown; b: unknown; c: unknown; noise: unknown }>(['a', 'b', 'c'])

const excludedNeverCounts = (print: typeof ofAbc) =>
  fc.property(payloads, json, (payload, noise) => {
    expect(print({ ...payload, noise })).toBe(print(payload))
  })

const includedAlwaysCounts = (print: typeof ofAbc) =>
  fc.property(payloads, fc.constantFrom<'a' | 'b' | 'c'>('a', 'b', 'c'), (payload, field) => {
    expect(print({ ...payload, [field]: [payload[field]] })).not.toBe(print(payload))
  })

describe('a fingerprint', () => {
  it('is the same for the same facts in any order, of fields and of keys', () => {
    const ofCba = fingerprint<{ a: unknown; b: unknown; c: unknown }>(['c', 'b', 'a'])
    fc.assert(
      fc.property(payloads, ({ a, b, c, noise }) => {
        expect(ofCba({ c, a, b })).toBe(ofAbc({ noise, b, a, c }))
        const derived = fingerprint((job: { a: unknown }) => ({ b, a: job.a, c }))
        expect(derived({ a })).toBe(ofAbc({ a, b, c, noise }))
      }),
    )
  })

  it('changes with each included field, and never with an excluded one', () => {
    fc.assert(includedAlwaysCounts(ofAbc))
    fc.assert(excludedNeverCounts(ofAbc))
    const everything = fingerprint((job: object) => ({ ...job }))
    const tooLittle = fingerprint<{ a: unknown }>(['a'])
    expect(fc.check(excludedNeverCounts(everything)).failed).toBe(true)
    expect(fc.check(includedAlwaysCounts(tooLittle)).failed).toBe(true)
  })

  it('does not change when the payload does afterwards', () => {
    const print = fingerprint<FetchJob>(['policyId', 'filter'])
    const payload = { policyId: 'p-1', filter: { tags: ['a'] } }
    const before = print(payload)
    payload.filter.tags.push('b')
    payload.policyId = 'p-2'
    expect(before).toBe(print({ policyId: 'p-1', filter: { tags: ['a'] } }))
    expect(before).not.toBe(print(payload))
  })

  it('does not change when the list it was made from does', () => {
    const fields: ('policyId' | 'since')[] = ['policyId']
    const print = fingerprint<FetchJob>(fields)
    fields.push('since')
    expect(print({ policyId: 'p-1' })).toBe(fingerprint<FetchJob>(['policyId'])({ policyId: 'p-1' }))
  })

  it('has the written-down form, which must not change within version 1', () => {
    const print = fingerprint<FetchJob>(['policyId'])({ policyId: 'p-1' })
    const digest = createHash('sha256').update('["f1",{"policyId":"p-1"}]').digest('base64url')
    expect(print).toBe(`f1.${digest}`)
    expect(print).toBe('f1.y-gM0RYnQYAK76XM4JU3ra4hGPIJMKPhrZfzFnBcDz8')
    expect(print).toMatch(/^f1\.[\w-]{43}$/)
  })

  it('is an HMAC under a key, given as text or bytes, and another one under another key', () => {
    const print = (key: string | Uint8Array) =>
      fingerprint<FetchJob>(['policyId'], { key })({ policyId: 'p-1' })
    const digest = createHmac('sha256', KEY).update('["f1k",{"policyId":"p-1"}]').digest('base64url')
    expect(print(KEY)).toBe(`f1k.${digest}`)
    expect(print(KEY)).toBe('f1k.Ki_26J1kwEubZmaNYgogWHeVfUalbJvyDZ4HuY0exkw')
    expect(print(new TextEncoder().encode(KEY))).toBe(print(KEY))
    expect(print(`${KEY}!`)).not.toBe(print(KEY))
  })

  it('keeps its key when the bytes it was given are wiped', () => {
    const bytes = new TextEncoder().encode(KEY)
    const print = fingerprint<FetchJob>(['policyId'], { key: bytes })
    const before = print({ policyId: 'p-1' })
    bytes.fill(0)
    expect(print({ policyId: 'p-1' })).toBe(before)
  })

  it('tells a string from a number, and null from absent', () => {
    const print = fingerprint<{ a?: unknown; b: number }>(['a', 'b'], { optional: ['a'] })
    const prints = [{ a: 1 }, { a: '1' }, { a: null }, { a: 'null' }, {}].map((part) =>
      print({ b: 0, ...part }),
    )
    expect(new Set(prints).size).toBe(prints.length)
    expect(print({ a: undefined, b: -0 })).toBe(print({ b: 0 }))
  })

  it('takes only scope and type to tell dispatches apart when it is given an empty list', () => {
    const print = fingerprint<FetchJob>([])
    expect(print({ policyId: 'p-1' })).toBe(print({ policyId: 'p-2' }))
    expect(print(undefined as unknown as FetchJob)).toBe(print({ policyId: 'p-2' }))
  })
})
