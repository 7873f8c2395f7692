import { InvalidOptionError, OpsLedgerError } from '@opsledger/core'
import { canonicalText } from './canonical-json.ts'
import { digester } from './fingerprint-digest.ts'
import { type JsonObject, pickSnapshot } from './json-snapshot.ts'
import { className, isPlainObject } from './object-kind.ts'
import { isSecretName, refuseSecretNames, SecretFieldError } from './secret-names.ts'

export { MIN_FINGERPRINT_KEY_BYTES } from './fingerprint-digest.ts'
export { SecretFieldError } from './secret-names.ts'

/** A part of the identity is missing: without it, different work would look the same. */
export class MissingIdentityPartError extends OpsLedgerError {
  readonly code = 'missing_identity_part'
  /** Names of the missing fields; empty when there were no facts at all. */
  readonly fields: readonly string[]

  constructor(fields: readonly string[], advice: string) {
    const names = fields.map((field) => JSON.stringify(field)).join(', ')
    super(`the fingerprint has no value for ${names || 'any fact'}; ${advice}`)
    this.fields = fields
  }
}

/** Only `key` changes the fingerprint of a payload; the others say which payloads and names are accepted. */
export interface FingerprintOptions<Field extends string = string> {
  /**
   * Fields that may be absent or undefined. Every other one must be there, and null counts as there. When all fields
   * are optional, at least one must be there.
   */
  readonly optional?: readonly Field[]
  /** Names, at any depth, that read like a secret but are none: `allow: ['tokenId']`. Matched exactly. */
  readonly allow?: readonly string[]
  /**
   * HMAC-SHA-256 key of 16 bytes or more (a string counts as UTF-8). Without one, whoever can read fingerprints can
   * guess inputs with few possible values. All processes need the same key; another key makes other fingerprints.
   */
  readonly key?: string | Uint8Array
}

/**
 * Makes the function that digests the input of a job: `f1.` and a SHA-256 in base64url, or `f1k.` and an HMAC. It is
 * made from the canonical text of the facts, so only their values count, and holds nothing of that text.
 *
 * Facts are either a list of fields, read from the payload itself (own, not inherited), or a function that derives
 * them. `[]` states that scope and type alone tell two dispatches apart. Job fields are best named one by one: ids and
 * ranges that say which work this is, never attempt numbers, timestamps of dispatch or trace ids.
 *
 * The returned function throws MissingIdentityPartError, SecretFieldError or CanonicalJsonError.
 *
 * @throws InvalidOptionError for an empty, repeated or unknown name, or a key that is too short
 * @throws SecretFieldError for a listed field that is named like a secret
 */
export function fingerprint<P>(
  fields: readonly (keyof P & string)[],
  options?: FingerprintOptions<keyof P & string>,
): (payload: P) => string
export function fingerprint<P, F extends object = Record<string, unknown>>(
  derive: (payload: P) => F,
  options?: FingerprintOptions<keyof F & string>,
): (payload: P) => string
export function fingerprint(
  facts: readonly string[] | ((payload: unknown) => object),
  options: FingerprintOptions = {},
): (payload: unknown) => string {
  const optional = nameSet('fingerprint optional', options.optional ?? [])
  const allow = nameSet('fingerprint allow', options.allow ?? [])
  const digest = digester(options.key)
  const read = typeof facts === 'function' ? deriving(facts) : picking(facts, optional, allow)
  return (payload) => {
    const { names, snapshot } = read(payload)
    const missing = names.filter((name) => !Object.hasOwn(snapshot, name))
    const required = missing.filter((name) => !optional.has(name))
    if (required.length > 0) {
      throw new MissingIdentityPartError(required, 'set it (null counts), or list it in "optional"')
    }
    if (missing.length > 0 && missing.length === names.length) {
      throw new MissingIdentityPartError(missing, 'set one of them, or derive a fact that says none is given')
    }
    refuseSecretNames(snapshot, allow)
    return digest(canonicalText(snapshot))
  }
}

type Read = (payload: unknown) => { names: readonly string[]; snapshot: JsonObject }

function picking(fields: readonly string[], optional: ReadonlySet<string>, allow: ReadonlySet<string>): Read {
  const names = [...nameSet('fingerprint fields', fields)]
  for (const name of names) {
    if (!allow.has(name) && isSecretName(name)) throw new SecretFieldError(`the field "${name}"`, name)
  }
  const stray = [...optional].find((name) => !names.includes(name))
  if (stray !== undefined) throw new InvalidOptionError('fingerprint optional', stray, 'the listed fields')
  return (payload) => {
    const source = typeof payload === 'object' && payload !== null ? payload : {}
    return { names, snapshot: pickSnapshot(source, names) }
  }
}

function deriving(derive: (payload: unknown) => object): Read {
  return (payload) => {
    const facts: unknown = derive(payload)
    const plain = typeof facts === 'object' && facts !== null && !Array.isArray(facts) && isPlainObject(facts)
    if (!plain) {
      throw new InvalidOptionError('fingerprint facts', kindOf(facts), 'a plain object, not a promise of one')
    }
    const keys = Reflect.ownKeys(facts)
    if (keys.length === 0) {
      throw new MissingIdentityPartError([], 'return at least one; fingerprint([]) states that there is none')
    }
    return { names: keys.filter((key) => typeof key === 'string'), snapshot: pickSnapshot(facts, keys) }
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? `an instance of ${className(value)}` : typeof value
}

function nameSet(option: string, names: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(names)) throw new InvalidOptionError(option, typeof names, 'an array of field names')
  const set = new Set<string>()
  for (const name of names) {
    if (typeof name !== 'string' || name === '') throw new InvalidOptionError(option, name, 'non-empty names')
    if (set.has(name)) throw new InvalidOptionError(option, name, 'each name once')
    set.add(name)
  }
  return set
}
