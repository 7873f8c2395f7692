import { type IdentityParts, InvalidOptionError, jobIdentity, MissingIdentityError } from '@opsledger/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const scope = { workspaceId: 'w1', tenantId: 't1' }
const RUN_ID = '0190d3c8-1111-7abc-8def-0123456789ab'
const work = (parts: Partial<IdentityParts> = {}) =>
  jobIdentity({ scope, type: 'assignment.fetch', fingerprint: 'f', ...parts })

const UUID_V8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('the digests of a version are fixed for good: stored claims depend on them', () => {
  expect([work().workKey, work({ runId: RUN_ID }).identity]).toMatchInlineSnapshot(`
    [
      "8099ff98-8e0b-8020-a67d-261423131082",
      "9d3a8f29-62fe-89f2-a061-6666a1239e4e",
    ]
  `)
})

test('without a run id the identity is the work', () => {
  const { identity, workKey } = work()
  expect(identity).toBe(workKey)
})

test('with a run id the identity is the run, whatever its type and fingerprint; the work key stays that of the work', () => {
  const named = work({ runId: RUN_ID })
  expect(named.identity).not.toBe(named.workKey)
  expect(named.workKey).toBe(work().workKey)
  expect(work({ runId: RUN_ID, fingerprint: 'other', type: 'other.type' }).identity).toBe(named.identity)
})

test('a run id is the same in capitals, and in every version of UUID', () => {
  expect(work({ runId: RUN_ID.toUpperCase() })).toEqual(work({ runId: RUN_ID }))
  for (const runId of ['6ba7b810-9dad-11d1-80b4-00c04fd430c8', '9b2e4f6a-3c1d-4e8f-9a7b-5d6c7e8f9a0b']) {
    expect(work({ runId }).runId).toBe(runId)
  }
})

test('with a run id and no fingerprint the work is the run', () => {
  const named = work({ runId: RUN_ID, fingerprint: undefined })
  expect(named.workKey).toBe(named.identity)
  expect(named.identity).toBe(work({ runId: RUN_ID }).identity)
})

test('a system job is its workspace and type, whatever run id or fingerprint it is given', () => {
  const system = {
    scope: { workspaceId: 'w1', tenantId: null },
    type: 'ops.reconcile_adapter_runs',
    isSystem: true,
  }
  const plain = jobIdentity(system)
  expect(plain.identity).toBe(plain.workKey)
  for (const parts of [{ runId: RUN_ID }, { fingerprint: 'f' }, { runId: RUN_ID, fingerprint: 'f' }]) {
    expect(jobIdentity({ ...system, ...parts })).toMatchObject({
      identity: plain.identity,
      workKey: plain.workKey,
      fingerprint: null,
    })
  }
  expect(jobIdentity({ ...system, runId: RUN_ID }).runId).toBe(RUN_ID)
})

test.each([{}, { fingerprint: null }, { runId: null }, { fingerprint: undefined, runId: undefined }])(
  'neither a run id nor a fingerprint is no identity (%j)',
  (parts) => {
    const identify = () => jobIdentity({ scope, type: 'assignment.fetch', ...parts })
    expect(identify).toThrow(MissingIdentityError)
    expect(identify).toThrow('A job of type "assignment.fetch" has neither a run id nor a fingerprint')
  },
)

test.each(['', 'run-1', '42', `${RUN_ID}x`, 42 as unknown as string])('the run id %j is refused', (runId) => {
  expect(() => work({ runId })).toThrow(InvalidOptionError)
  expect(() => work({ runId })).toThrow(/runId is .*; allowed: a UUID of any version/)
})

test('what a job is cannot be changed afterwards', () => {
  const job = work() as { -readonly [K in keyof ReturnType<typeof work>]: unknown }
  expect(() => {
    job.identity = 'another'
  }).toThrow(TypeError)
})

describe('no two different lists of parts are one work', () => {
  // Few letters, and those that separate parts elsewhere: what is ambiguous shows soon.
  const part = fc.string({
    unit: fc.constantFrom('a', '|', ',', '"', '\\', ':', ' ', 'n', 'u', 'l'),
    minLength: 1,
    maxLength: 4,
  })
  const parts = fc.record({
    workspaceId: part,
    tenantId: fc.option(part),
    type: part,
    fingerprint: fc.option(part),
    runId: fc.option(fc.constantFrom(RUN_ID, '9b2e4f6a-3c1d-4e8f-9a7b-5d6c7e8f9a0b')),
    isSystem: fc.boolean(),
  })
  type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never
  const identify = ({ workspaceId, tenantId, ...rest }: Parts) =>
    jobIdentity({ scope: { workspaceId, tenantId }, ...rest })
  /** What the promise says an identity depends on, spelled out. */
  const meaningOf = ({ workspaceId, tenantId, type, fingerprint, runId, isSystem }: Parts) =>
    isSystem || runId === null
      ? ['work', workspaceId, tenantId, type, isSystem ? null : fingerprint]
      : ['run', workspaceId, tenantId, runId]

  test('two jobs have one identity exactly when their workspace, tenant, and run (or type and fingerprint) agree', () => {
    const isUsable = (one: Parts) => one.isSystem || one.runId !== null || one.fingerprint !== null
    fc.assert(
      fc.property(parts.filter(isUsable), parts.filter(isUsable), (first, second) => {
        const isSame = JSON.stringify(meaningOf(first)) === JSON.stringify(meaningOf(second))
        expect(identify(first).identity === identify(second).identity).toBe(isSame)
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    [
      { workspaceId: 'a|b', tenantId: 'c' },
      { workspaceId: 'a', tenantId: 'b|c' },
    ],
    [
      { workspaceId: 'a', tenantId: 'null' },
      { workspaceId: 'a', tenantId: null },
    ],
    [
      { workspaceId: 'a","b', tenantId: 'c' },
      { workspaceId: 'a', tenantId: 'b","c' },
    ],
    [
      { workspaceId: '\u00e9', tenantId: null },
      { workspaceId: 'e\u0301', tenantId: null },
    ],
  ])('%j and %j are two', (first, second) => {
    expect(work({ scope: first }).identity).not.toBe(work({ scope: second }).identity)
    expect(work({ scope: first, runId: RUN_ID }).identity).not.toBe(
      work({ scope: second, runId: RUN_ID }).identity,
    )
  })

  test('a run of one tenant and the same run id of another are two', () => {
    const other = { workspaceId: 'w1', tenantId: 't2' }
    expect(work({ scope: other, runId: RUN_ID }).identity).not.toBe(work({ runId: RUN_ID }).identity)
  })

  test('every identity and work key is a UUID of version 8 and variant 1, and the same each time', () => {
    fc.assert(
      fc.property(
        // What a scope may be; a fingerprint may be anything.
        fc
          .string({ unit: 'binary', minLength: 1, maxLength: 100 })
          .filter((id) => !id.includes('\u0000') && id.isWellFormed()),
        fc.string({ unit: 'binary' }),
        (workspaceId, fingerprint) => {
          const identify = () => work({ scope: { workspaceId, tenantId: null }, fingerprint })
          expect(identify().identity).toMatch(UUID_V8)
          expect(identify()).toEqual(identify())
        },
      ),
    )
  })
})
