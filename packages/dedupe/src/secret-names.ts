import { OpsLedgerError } from '@opsledger/core'
import { renderPath } from './canonical-json-error.ts'
import type { Json, JsonObject } from './json-snapshot.ts'

/** A field that is named like a secret was about to go into a fingerprint. Holds its path, never its value. */
export class SecretFieldError extends OpsLedgerError {
  readonly code = 'secret_field'
  readonly path: string
  readonly field: string

  constructor(path: string, field: string) {
    super(
      `${path} is named like a secret and must not go into a fingerprint, where a short one can be guessed; leave it` +
        ' out, include the id of what it belongs to, or put its name into "allow" if it is no secret',
    )
    this.path = path
    this.field = field
  }
}

/** A word that ends like this names a secret by itself, also when written in one piece: `dbpassword`, `apikey`. */
const SECRET_ENDING =
  /(?:password|passwd|passphrase|passcode|secret|token|credential|cookie|apikey|accesskey|privatekey|secretkey|sessionid|signingkey)s?$/

const SECRET_WORDS: ReadonlySet<string> = new Set(
  'pwd authorization authentication auth oauth bearer jwt jwts otp totp cvv cvc pem dsn mnemonic'.split(' '),
)

/** Two neighbouring words that name a secret only together, the second also in the plural; `key`, `session`, `id`, `string` alone are ordinary. */
const SECRET_PAIRS: ReadonlySet<string> = new Set(
  [
    'pass word, pass phrase, pass code, api key, access key, private key, secret key, signing key, encryption key',
    'master key, ssh key, service key, auth key, hmac key, session id, session key, sess id',
    'connection string, database url, seed phrase, recovery code, backup code',
  ].flatMap((line) => line.split(', ')),
)

/** What a name is about is its last word: `tokenCount` is a count, `passwordUpdatedAt` a time, `authType` a type. */
const HARMLESS_LAST: ReadonlySet<string> = new Set(
  (
    'count counts limit limits budget usage length size total min max type kind mode method provider policy name label ' +
    'status version enabled disabled required expired valid at in on ttl expiry expiration expires ms seconds ' +
    'minutes hours days index position attempts rotation strength consent scope scopes'
  ).split(' '),
)

/** `hasPassword`, `requiresToken`: a fact about a secret, not the secret. */
const HARMLESS_FIRST: ReadonlySet<string> = new Set(['is', 'has', 'needs', 'requires', 'uses', 'allows'])

/** `maxTokens`, `promptTokens`: amounts. `refreshTokens` and a plain `tokens` are not. */
const AMOUNT_OF_TOKENS =
  /(?:^| )(?:max|min|num|total|input|output|prompt|completion|cached|used|remaining) tokens$/

/**
 * Whether a field name reads like a secret. Names are compared word by word across camelCase, snake_case and
 * kebab-case, digits apart, so `clientSecret`, `CLIENT_SECRET` and `client-secret2` trip, while `monkey`, `keyboard`,
 * `partitionKey`, `sessionDate` and `tokenCount` do not. It reads names only: it cannot see a secret under an
 * innocent name, and `pass`, `pin`, `key` and `session` alone count as innocent.
 */
export function isSecretName(name: string): boolean {
  let isSecret = verdicts.get(name)
  if (isSecret === undefined) {
    isSecret = readsLikeSecret(name)
    if (verdicts.size >= MAX_VERDICTS) verdicts.clear()
    verdicts.set(name, isSecret)
  }
  return isSecret
}

/** The same few names come with every job; names that are data, such as ids used as keys, must not pile up. */
const verdicts = new Map<string, boolean>()
const MAX_VERDICTS = 1_000

function readsLikeSecret(name: string): boolean {
  const words = (name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? []).map((word) => word.toLowerCase())
  const named =
    SECRET_ENDING.test(words.join('')) ||
    words.some((word, index) => {
      const pair = `${word} ${words[index + 1]?.replace(/s$/, '')}`
      return SECRET_ENDING.test(word) || SECRET_WORDS.has(word) || SECRET_PAIRS.has(pair)
    })
  if (!named) return false
  if (words.length > 1 && HARMLESS_LAST.has(words.at(-1)!)) return false
  if (words.length > 1 && HARMLESS_FIRST.has(words[0]!)) return false
  return !AMOUNT_OF_TOKENS.test(words.join(' '))
}

/** Throws {@link SecretFieldError} for the first key, at any depth, that is named like a secret and not allowed. */
export function refuseSecretNames(
  value: Json,
  allow: ReadonlySet<string>,
  trail: readonly (string | number)[] = [],
): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const [index, element] of value.entries()) refuseSecretNames(element, allow, [...trail, index])
    return
  }
  for (const key of Object.keys(value)) {
    if (isSecretName(key) && !allow.has(key)) {
      throw new SecretFieldError(renderPath('$', [...trail, key]), key)
    }
    const member = (value as JsonObject)[key]!
    if (typeof member === 'object') refuseSecretNames(member, allow, [...trail, key])
  }
}
