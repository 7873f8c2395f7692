import { InvalidOptionError, OpsLedgerError } from '@opsledger/core'
import { describe, expect, it } from 'vitest'
import { CanonicalJsonError } from '../src/canonical-json.ts'
import { fingerprint, MissingIdentityPartError } from '../src/fingerprint.ts'

interface FetchJob {
  policyId: string
  since?: string | null
  until?: string | null
  filter?: Record<string, unknown>
  traceId?: string
}

function errorOf(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('a missing part of the identity', () => {
  const print = fingerprint<FetchJob>(['policyId', 'since', 'until'], { optional: ['since', 'until'] })
  const missing = (fields: string[]) => expect.objectContaining({ code: 'missing_identity_part', fields })

  it('throws for each required field that is absent or undefined, and names it', () => {
    const strict = fingerprint<Partial<FetchJob>>(['policyId', 'since', 'until'])
    const error = errorOf(() => strict({ policyId: undefined, until: null }))
    expect(error).toBeInstanceOf(MissingIdentityPartError)
    expect(error).toBeInstanceOf(OpsLedgerError)
    expect(error).toEqual(missing(['policyId', 'since']))
    expect((error as Error).message).toMatch(/^the fingerprint has no value for "policyId", "since"; set it/)
  })

  it('may be an optional one, as long as another is there', () => {
    expect(print({ policyId: 'p-1', since: undefined })).toBe(print({ policyId: 'p-1' }))
    expect(print({ policyId: 'p-1', since: null })).not.toBe(print({ policyId: 'p-1' }))
    const loose = fingerprint<FetchJob>(['since', 'until'], { optional: ['since', 'until'] })
    expect(loose({ policyId: 'p-1', until: null })).toMatch(/^f1\./)
    expect(errorOf(() => loose({ policyId: 'p-1' }))).toEqual(missing(['since', 'until']))
  })

  it.each([undefined, null, 'policyId', 7, {}, []])('throws for the payload %j', (payload) => {
    expect(errorOf(() => print(payload as unknown as FetchJob))).toEqual(missing(['policyId']))
  })

  it('throws for members a payload only inherits', () => {
    const inherited = fingerprint<object>(['toString', '__proto__'] as never[])
    expect(errorOf(() => inherited({}))).toEqual(missing(['toString', '__proto__']))
  })

  it('throws for derived facts as well, by their own names', () => {
    const derived = fingerprint((job: FetchJob) => ({ policy: job.policyId, since: job.since }))
    expect(errorOf(() => derived({ policyId: 'p-1' }))).toEqual(missing(['since']))
    const optional = fingerprint((job: FetchJob) => ({ policy: job.policyId, since: job.since }), {
      optional: ['since'],
    })
    expect(optional({ policyId: 'p-1' })).toMatch(/^f1\./)
    expect(errorOf(() => fingerprint(() => ({}))({}))).toEqual(missing([]))
  })
})

describe('an unusable argument', () => {
  const invalid = (option: string) => expect.objectContaining({ code: 'invalid_option', option })

  it.each<[string, () => unknown, string]>([
    ['a repeated field', () => fingerprint<FetchJob>(['policyId', 'policyId']), 'fingerprint fields'],
    ['an empty name', () => fingerprint<Record<string, 1>>(['']), 'fingerprint fields'],
    ['no list', () => fingerprint('policyId' as never), 'fingerprint fields'],
    ['no argument', () => fingerprint(undefined as never), 'fingerprint fields'],
    [
      'an empty allowed name',
      () => fingerprint<FetchJob>(['policyId'], { allow: [''] }),
      'fingerprint allow',
    ],
    [
      'an optional field that is not listed',
      () => fingerprint<FetchJob>(['policyId'], { optional: ['since'] }),
      'fingerprint optional',
    ],
    [
      'a key of 15 bytes',
      () => fingerprint<FetchJob>([], { key: 'x'.repeat(15) }),
      'fingerprint key.byteLength',
    ],
    ['a key that is no key', () => fingerprint<FetchJob>([], { key: 1e20 as never }), 'fingerprint key'],
    ['an array of facts', () => fingerprint(() => [1])({}), 'fingerprint facts'],
    ['a promise of facts', () => fingerprint(async () => ({ a: 1 }))({}), 'fingerprint facts'],
    ['no facts', () => fingerprint(() => undefined as never)({}), 'fingerprint facts'],
  ])('%s is refused, and named', (_what, action, option) => {
    const error = errorOf(action)
    expect(error).toBeInstanceOf(InvalidOptionError)
    expect(error).toEqual(invalid(option))
    expect(String(error)).not.toContain('xxx')
  })

  it('a value without canonical form is refused with its path', () => {
    const print = fingerprint<FetchJob>(['filter'])
    const error = errorOf(() => print({ policyId: 'p-1', filter: { since: [new Date(0), Number.NaN] } }))
    expect(error).toBeInstanceOf(CanonicalJsonError)
    expect(error).toMatchObject({ path: '$.filter.since[1]' })
    const accessor = Object.defineProperty({}, 'filter', { get: () => 1, enumerable: true }) as FetchJob
    expect(errorOf(() => print(accessor))).toMatchObject({ path: '$.filter', found: 'an accessor' })
    const cyclic: FetchJob = { policyId: 'p-1', filter: {} }
    cyclic.filter = cyclic as unknown as Record<string, unknown>
    expect(errorOf(() => print(cyclic))).toMatchObject({ path: '$.filter', found: 'a cycle' })
    const symbol = fingerprint(() => ({ a: 1, [Symbol('b')]: 2 }))
    expect(errorOf(() => symbol({}))).toMatchObject({ path: '$', found: 'a symbol key' })
  })

  it('an error of the deriving function is thrown on as it is', () => {
    const failure = new RangeError('not mine')
    const derived = fingerprint(() => {
      throw failure
    })
    expect(errorOf(() => derived({}))).toBe(failure)
  })
})
