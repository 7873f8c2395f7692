import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'
import { InvalidOptionError } from '@opsledger/core'

/** Bytes: 128 bits, the least that cannot be searched. */
export const MIN_FINGERPRINT_KEY_BYTES = 16

/**
 * From canonical text to `f1.` and its SHA-256, or `f1k.` and its HMAC-SHA-256. Version and kind are part of the
 * digested text as well, so the same text has nothing in common across them.
 */
export function digester(key: string | Uint8Array | undefined): (text: string) => string {
  if (key === undefined) {
    return (text) => `f1.${hash('sha256', `["f1",${text}]`, 'base64url')}`
  }
  const secret = secretKey(key)
  return (text) => `f1k.${createHmac('sha256', secret).update(`["f1k",${text}]`).digest('base64url')}`
}

function secretKey(key: unknown): KeyObject {
  if (typeof key !== 'string' && !(key instanceof Uint8Array)) {
    throw new InvalidOptionError('fingerprint key', `of type ${typeof key}`, 'a string or a Uint8Array')
  }
  const bytes = Buffer.from(key as Uint8Array)
  if (bytes.byteLength < MIN_FINGERPRINT_KEY_BYTES) {
    const allowed = `${MIN_FINGERPRINT_KEY_BYTES} or more`
    throw new InvalidOptionError('fingerprint key.byteLength', bytes.byteLength, allowed)
  }
  return createSecretKey(bytes)
}
