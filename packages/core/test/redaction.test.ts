import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidOptionError } from '../src/errors.ts'
import { KnownValues } from '../src/redaction/known-values.ts'
import { createRedactor, PLACEHOLDER, redactOnce, untilStable } from '../src/redaction/redactor.ts'

/** Fragments that meet the finders half way: beginnings, ends, separators and nested encodings. */
const fragment = fc.constantFrom(
  'password=',
  '"password":"',
  "token: '",
  'Cookie: ',
  'Authorization: Bearer ',
  '//user:',
  '@host/',
  '{"secret":{',
  '-----BEGIN KEY-----',
  '-----END KEY-----',
  '[redacted]',
  '[redact',
  'eyJhbGciOiJub25l',
  '\n',
  '\r\n',
  '…',
  '⏎',
  ' ',
  '"',
  "'",
  '\\"',
  '\\',
  '%',
  '%22',
  '&amp;',
  '&',
  ';',
  ',',
  '}',
  ']',
  ')',
  '\u200b',
  '\u202e',
  '\0',
  '\ud83d',
  '\ude00',
  '😀',
  'é',
  'a'.repeat(40),
  'Ab1'.repeat(12),
  'null',
  '\u2028',
  '\t',
  '=',
  ':',
  '>',
  '<password>',
  '--token ',
  'x',
  '1',
  '.',
)
const hostile = fc.oneof(
  fc.array(fragment, { maxLength: 30 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 60 })
    .map((units) => String.fromCharCode(...units)),
)
const lengths = fc.constantFrom(32, 33, 47, 64, 100, 2_000)

const isClean = (text: string): boolean =>
  text.isWellFormed() && !/[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029]/u.test(text)

describe('the redactor', () => {
  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(hostile, lengths, fc.array(hostile, { maxLength: 3 }), (text, maxLength, secrets) => {
        const { redact } = createRedactor({ secrets, maxLength })
        const once = redact(text)
        expect(redact(once)).toBe(once)
      }),
      { numRuns: 1_500 },
    )
  })

  it('a naive replacement would change something the second time', () => {
    const naive = (text: string) => text.replaceAll('redacted', PLACEHOLDER)
    expect(naive(naive('redacted'))).not.toBe(naive('redacted'))
    const { redact } = createRedactor({ secrets: ['redacted'] })
    expect(redact('a redacted b')).toBe('a [redacted] b')
  })

  it('gives well-formed text on one line, within its length, without control or invisible characters', () => {
    fc.assert(
      fc.property(hostile, lengths, (text, maxLength) => {
        const redacted = createRedactor({ maxLength }).redact(text)
        expect(redacted.length).toBeLessThanOrEqual(maxLength)
        expect(isClean(redacted)).toBe(true)
      }),
      { numRuns: 1_500 },
    )
  })

  it('shows a line end as a visible mark, and spaces of any width as a space', () => {
    expect(createRedactor().redact('a\r\nb\nc\u2028d\te\u00a0f')).toBe('a⏎b⏎c⏎d e f')
  })

  it('takes out bidi, zero-width and control characters', () => {
    expect(createRedactor().redact('ad\u202emin\u200b\u0000 \u001b[31mred\ufeff\ud800')).toBe('admin [31mred')
  })

  it('cuts long text and says so', () => {
    const redacted = createRedactor({ maxLength: 40 }).redact('word '.repeat(20))
    expect(redacted).toBe(`${'word '.repeat(8).slice(0, 39)}…`)
  })

  it('never leaves half a character at the cut', () => {
    for (let shift = 0; shift < 4; shift++) {
      const redacted = createRedactor({ maxLength: 32 }).redact('x'.repeat(shift) + '😀'.repeat(100))
      expect(redacted.isWellFormed()).toBe(true)
      expect(redacted.endsWith('😀…')).toBe(true)
    }
  })

  it('never throws, whatever it is given, and asks no object for its text', () => {
    const { redact } = createRedactor()
    let asked = 0
    const curious = { toString: () => `${++asked}`, [Symbol.toPrimitive]: () => `${++asked}` }
    expect(redact(curious)).toBe(PLACEHOLDER)
    expect(redact(Symbol('x'))).toBe(PLACEHOLDER)
    expect(redact(() => 'x')).toBe(PLACEHOLDER)
    expect([redact(undefined), redact(null), redact(7), redact(7n), redact(true)]).toEqual([
      'undefined',
      'null',
      '7',
      '7',
      'true',
    ])
    expect(asked).toBe(0)
    fc.assert(fc.property(fc.anything(), (value) => typeof redact(value) === 'string'))
  })

  it('fails closed when a pass throws, and when passes do not come to rest', () => {
    const failing = () => {
      throw new Error('inner')
    }
    expect(untilStable(() => 'secret', failing)).toBe(PLACEHOLDER)
    expect(untilStable(failing, (text) => text)).toBe(PLACEHOLDER)
    expect(
      untilStable(
        () => 'secret',
        (text) => `${text}!`,
      ),
    ).toBe(PLACEHOLDER)
  })

  it('comes to rest in one pass for texts as they occur', () => {
    const known = new KnownValues()
    const value = fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}$/)
    const clause = fc.oneof(
      value,
      value.map((v) => `password=${v}`),
      value.map((v) => JSON.stringify({ token: v, user: 'bob' })),
      value.map((v) => `postgres://bob:${v}@db/app`),
      value.map((v) => `Authorization: Bearer ${v}\n`),
      value.map((v) => `Set-Cookie: sid=${v}; Path=/\r\n`),
    )
    fc.assert(
      fc.property(fc.array(clause, { maxLength: 6 }), (clauses) => {
        const once = redactOnce(clauses.join(' '), known, 2_000)
        expect(redactOnce(once, known, 2_000)).toBe(once)
      }),
    )
  })

  it('refuses options it cannot use, without showing a secret', () => {
    expect(() => createRedactor({ maxLength: 31 })).toThrow(InvalidOptionError)
    expect(() => createRedactor({ maxLength: 99.5 })).toThrow(
      'maxLength is 99.5; allowed: a whole number of at least 32',
    )
    expect(() => createRedactor({ secrets: 'hunter2-hunter2' })).toThrow(/^secrets is "one string"/)
  })

  const repeat = (unit: string) => unit.repeat(Math.ceil(100_000 / unit.length))
  it.each([
    '-',
    '//a:b',
    'a',
    'password=',
    "'\\",
    "token:['\\'",
    'eyJ',
    'Basic ',
    '\\u0041%41&amp;',
    '\u200b',
    '-----BEGIN ',
    '-----END x ',
    'A1b2C3-',
    ':=>',
    '&',
    'token=a&',
    '[redacted]',
    '%25',
    '\\',
    'cookie: "',
    'x:yyy',
    '"',
    ' ',
    '\n',
    'a@',
    '//@',
    'token:{',
    'aA1',
  ])('comes to an end on 100,000 characters of %j', { timeout: 60_000 }, (unit) => {
    const redactor = createRedactor({
      maxLength: 200_000,
      secrets: ['aaaaaaaaaaaab', `${unit}${unit}${unit}z`],
    })
    const redacted = redactor.redact(repeat(unit))
    expect(redacted.length).toBeLessThanOrEqual(200_000)
    expect(isClean(redacted)).toBe(true)
  })
})
