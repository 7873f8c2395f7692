/** How a name is tied to its value: `secret: x`, `secret=x`, `"secret": x` and `<secret>x` give different weight. */
export interface NameContext {
  /** True for `=`, for a quoted name, a tag or a command-line option: hardly ever prose. */
  readonly isExplicit: boolean
  /** True for a parameter of a URL's query. */
  readonly isQueryParameter: boolean
}

/** Anywhere in a name, with `_`, `-`, `.` and spaces taken out. */
const TELLING =
  /passw|passphrase|passcode|passkey|secret|credential|authorization|cookie|signature|bearer|api_?key|(?:access|private|priv|signing|encryption|master|shared|account|auth|session|storage|service|host|function|subscription|license|deploy)key|session?id|sessid|session_?token|connectionstring|connstr|accesstoken|refreshtoken|idtoken|authtoken/

/** As a whole word of a name. */
const TELLING_WORDS = new Set([
  'token',
  'tokens',
  'pwd',
  'jwt',
  'otp',
  'totp',
  'csrf',
  'xsrf',
  'sas',
  'dsn',
  'hmac',
  'cvv',
])

/** As the last word, or the end, of a name, when the context is explicit: in prose these mean other things. */
const EXPLICIT_WORDS = new Set(['pass', 'pw', 'auth', 'session', 'sid', 'pin', 'sig'])
const EXPLICIT_END = /(?:token|pwd|(?<!by|com|sur|tres)pass)$/

const QUERY_WORDS = new Set(['key', 'code', 'auth', 'ticket', 'hash'])

/** A last word that makes the name one of a fact about a secret: `password_length`, `token_type`. */
const HARMLESS_END = new Set(
  'length len count policy type types expiry expires expired ttl age url uri endpoint name names field fields limit usage min max size required enabled valid invalid missing version format status error errors reason kind at in'.split(
    ' ',
  ),
)

/** Whether what stands beside this name is to be taken for a secret. Looks at 128 characters at most. */
export function isSecretName(name: string, { isExplicit, isQueryParameter }: NameContext): boolean {
  const words = name
    .slice(-128)
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '')
  const last = words.at(-1)
  if (last === undefined || (words.length > 1 && HARMLESS_END.has(last))) return false
  const compact = words.join('')
  if (TELLING.test(compact) || words.some((word) => TELLING_WORDS.has(word))) return true
  if (isExplicit && (EXPLICIT_WORDS.has(last) || EXPLICIT_END.test(compact))) return true
  return isQueryParameter && QUERY_WORDS.has(last)
}

const HEADERS = new Set(['authorization', 'proxyauthorization', 'cookie', 'setcookie'])

/** A header whose value may hold spaces and goes on to the end of its line. */
export function isHeaderName(name: string): boolean {
  return HEADERS.has(name.toLowerCase().replace(/[^a-z]/g, ''))
}
