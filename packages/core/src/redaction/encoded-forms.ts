import { Buffer } from 'node:buffer'
import { toVisible } from './invisible-characters.ts'

/** One way a secret may be written. */
export interface SecretForm {
  readonly text: string
  /** Characters on either side that may carry bits of the secret too: 1 in base64, otherwise 0. */
  readonly margin: number
}

/** Lines of a secret of many lines (a key file) that are long enough to give it away one by one. */
const MIN_LINE_LENGTH = 16

/**
 * How a secret may appear: raw, trimmed, in both Unicode normal forms, line by line; percent-encoded, form-encoded,
 * JSON-escaped, with doubled quotes, with HTML entities; hex, listed bytes, base64 and base64url at each alignment.
 * Other mixtures of percent, backslash and entity encoding are undone by the views, not listed here.
 */
export function encodedForms(secret: string): SecretForm[] {
  const forms = new Map<string, number>()
  for (const spelling of spellings(secret.toWellFormed())) {
    for (const text of escapedForms(spelling)) forms.set(toVisible(text), 0)
    const bytes = Buffer.from(spelling, 'utf8')
    for (const text of byteForms(bytes)) forms.set(text, 0)
    for (const text of base64Forms(bytes)) forms.set(text, 1)
  }
  forms.delete('')
  return Array.from(forms, ([text, margin]) => ({ text, margin }))
}

function spellings(secret: string): Set<string> {
  const trimmed = secret.trim()
  const lines = trimmed.split(/\r\n|[\r\n]/).map((line) => line.trim())
  return new Set([
    secret,
    trimmed,
    trimmed.normalize('NFC'),
    trimmed.normalize('NFD'),
    ...(lines.length > 1 ? lines.filter((line) => line.length >= MIN_LINE_LENGTH) : []),
  ])
}

function escapedForms(text: string): string[] {
  return [
    text,
    text.replaceAll(' ', '+'),
    encodeURIComponent(text),
    new URLSearchParams([['', text]]).toString().slice(1),
    JSON.stringify(text).slice(1, -1),
    text.replaceAll("'", "''"),
    text.replaceAll('"', '""'),
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
  ]
}

function byteForms(bytes: Buffer): string[] {
  const hex = bytes.toString('hex')
  const pairs = hex.match(/../g) ?? []
  return [hex, hex.toUpperCase(), pairs.join(' '), bytes.join(','), bytes.join(', ')]
}

/** The characters that depend on the secret alone, for each of the three places it may have in a group of 3 bytes. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes])
    const from = Math.ceil((before * 8) / 6)
    const to = Math.floor((shifted.length * 8) / 6)
    return [shifted.toString('base64').slice(from, to), shifted.toString('base64url').slice(from, to)]
  })
}
