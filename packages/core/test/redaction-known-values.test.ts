import { Buffer } from 'node:buffer'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toVisible } from '../src/redaction/invisible-characters.ts'
import { KnownValues } from '../src/redaction/known-values.ts'
import { createRedactor, redactOnce, untilStable } from '../src/redaction/redactor.ts'
import type { Mark } from '../src/redaction/spans.ts'

type Encode = (secret: string) => string

const percentAll: Encode = (secret) =>
  Array.from(Buffer.from(secret), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
const jsonString: Encode = (secret) => JSON.stringify(secret).slice(1, -1)
const escapeAll: Encode = (secret) =>
  Array.from(
    { length: secret.length },
    (_, i) => `\\u${secret.charCodeAt(i).toString(16).padStart(4, '0')}`,
  ).join('')
const entities: Encode = (secret) => Array.from(secret, (c) => `&#${c.codePointAt(0)};`).join('')

const encodings: Record<string, Encode> = {
  raw: (secret) => secret,
  'percent-encoded': encodeURIComponent,
  'percent-encoded as a whole URI is': encodeURI,
  'percent-encoded byte by byte': percentAll,
  'percent-encoded twice': (secret) => encodeURIComponent(encodeURIComponent(secret)),
  'form-encoded': (secret) => new URLSearchParams({ k: secret }).toString().slice(2),
  'escaped as JSON': jsonString,
  'escaped as JSON in JSON': (secret) => jsonString(jsonString(secret)),
  'escaped as JSON in a query': (secret) => encodeURIComponent(jsonString(secret)),
  'escaped character by character': escapeAll,
  'written with entities': entities,
  hex: (secret) => Buffer.from(secret).toString('hex'),
  'upper-case hex': (secret) => Buffer.from(secret).toString('hex').toUpperCase(),
  'a list of bytes': (secret) => Buffer.from(secret).join(','),
  base64: (secret) => Buffer.from(secret).toString('base64'),
  'base64 behind one byte': (secret) => Buffer.from(`:${secret}`).toString('base64'),
  'base64 behind two bytes': (secret) => Buffer.from(`u:${secret}`).toString('base64'),
  'base64url among others': (secret) => Buffer.from(`{"p":"${secret}"}`).toString('base64url'),
  'base64 in a query': (secret) => encodeURIComponent(Buffer.from(secret).toString('base64')),
  'torn apart by zero-width characters': (secret) => Array.from(secret).join('\u200b'),
  'torn apart by controls': (secret) => Array.from(secret).join('\u0000\u202e'),
  'torn apart and percent-encoded': (secret) => Array.from(percentAll(secret)).join('\u2060'),
}

/** Random enough that no part of it can be in the surrounding text by chance. */
const secret = fc
  .tuple(
    fc.stringMatching(/^[A-Za-z0-9]{6,12}$/),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
  )
  .map(([head, tail]) => `Zq7${head}${tail}`.trim())
  .filter((value) => toVisible(value) === value && value.isWellFormed())
const surroundings = fc.stringMatching(/^[ \w.,:;=&?/"'%()[\]{}-]{0,40}$/)

/** The ends of a base64 form depend on its neighbours, so the middle is looked for. */
const survives = (redacted: string, encode: Encode, value: string): boolean => {
  const written = toVisible(encode(value))
  const core = written.length > 12 ? written.slice(2, -2) : written
  return redacted.includes(core)
}

describe('a known secret', () => {
  it.each(Object.entries(encodings))('is removed when it is %s, wherever it stands', (_, encode) => {
    fc.assert(
      fc.property(secret, surroundings, surroundings, (value, before, after) => {
        const { redact } = createRedactor({ secrets: [value] })
        expect(survives(redact(before + encode(value) + after), encode, value)).toBe(false)
      }),
    )
  })

  it('the same property catches a search for the raw form only', () => {
    const encode = encodings['base64 behind one byte']!
    const property = fc.property(secret, (value) => {
      const known = new KnownValues((text) => [{ text, margin: 0 }])
      known.add(value)
      const redacted = untilStable(
        () => encode(value),
        (text) => redactOnce(text, known, 2_000),
      )
      return !survives(redacted, encode, value)
    })
    expect(fc.check(property).failed).toBe(true)
  })

  it('is removed from what inspect shows of a buffer', () => {
    const { redact } = createRedactor({ secrets: ['swordfish-9'] })
    expect(redact(inspect({ key: Buffer.from('swordfish-9') }))).toBe('{ key: <Buffer [redacted]> }')
  })

  it('leaves no beginning behind when the length cap cuts it', () => {
    const value = `swordfish ${'lantern '.repeat(900)}end`
    const redactor = createRedactor({ secrets: [value], maxLength: 100 })
    for (const position of [0, 10, 60, 90, 99]) {
      const redacted = redactor.redact('. '.repeat(50).slice(0, position) + value)
      expect(redacted).not.toMatch(/sw|lantern/)
    }
    const longer = createRedactor({ secrets: ['swordfish lantern'], maxLength: 64 })
    for (let position = 40; position < 64; position++) {
      expect(longer.redact(`${'. '.repeat(32).slice(0, position)}swordfish lantern`)).not.toMatch(/s/)
    }
  })

  it('would leave its beginning behind if the end of the text read were not asked for it', () => {
    class Forgetful extends KnownValues {
      override find(text: string, mark: Mark): number {
        super.find(text, mark)
        return 0
      }
    }
    const value = `swordfish ${'lantern '.repeat(900)}end`
    const [known, forgetful] = [new KnownValues(), new Forgetful()]
    known.add(value)
    forgetful.add(value)
    expect(redactOnce(value, known, 100)).toBe('[redacted]…')
    expect(redactOnce(value, forgetful, 100)).toContain('swordfish')
  })

  it('is found when it is added later, and when it overlaps another', () => {
    const redactor = createRedactor({ secrets: ['swordfish'] })
    expect(redactor.redact('swordfishmonger')).toBe('[redacted]monger')
    expect(redactor.addSecret('fishmonger')).toBe(true)
    expect(redactor.redact('a swordfishmonger b')).toBe('a [redacted] b')
  })

  it('is not looked for when it is too short, and the caller is told', () => {
    const redactor = createRedactor()
    expect(redactor.addSecret('admin')).toBe(false)
    expect(redactor.addSecret('  admin \n')).toBe(false)
    expect(redactor.addSecret(undefined as never)).toBe(false)
    expect(redactor.redact('user admin')).toBe('user admin')
  })

  it('of many lines is removed line by line and with other line ends', () => {
    const lines = ['first-line-of-the-thing', 'second-line-of-the-thing']
    const { redact } = createRedactor({ secrets: [`${lines.join('\n')}\n`] })
    expect(redact(`at ${lines[1]}!`)).toBe('at [redacted]!')
    expect(redact(`at ${lines.join('\r\n')}!`)).toBe('at [redacted]!')
  })
})
