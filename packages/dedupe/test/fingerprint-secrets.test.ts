import { describe, expect, it } from 'vitest'
import { fingerprint, SecretFieldError } from '../src/fingerprint.ts'
import { isSecretName } from '../src/secret-names.ts'

const SECRET = `
  password PASSWORD Password userPassword user_password user-password password2 passWord dbpassword passwordHash
  passwd pwd passphrase passcode token accessToken access_token access-token ACCESS_TOKEN refreshTokens tokens tokenId
  authToken csrfToken accesstoken apiKey api_key api-key apikey APIKey APIkey apiKEY apiKeys apiKeyId x-api-key
  authorization Authorization proxy-authorization auth basicAuth oauth bearer credential credentials awsCredentials
  secret clientSecret client_secret client-secret CLIENT_SECRET clientsecret secretAccessKey accessKeyId cookie cookies
  set-cookie sessionCookie privateKey private_key PRIVATE_KEY privatekey signingKey encryption_key sshKey sessionId
  session_id session-id SESSIONID sessionIds sessionToken jwt otp totp cvv connectionString DATABASE_URL seedPhrase recoveryCodes
`
const INNOCENT = `
  monkey keyboard key keys keyId partitionKey sortKey primaryKey idempotencyKey publicKey routingKey turkey hockeyTeam
  tokenCount token_count tokenLimit maxTokens prompt_tokens total-tokens tokenizer tokenize tokenExpiresAt tokenType
  passwordUpdatedAt passwordPolicy hasPassword requires_token isSecret secretary secretName passwordless author authority
  authType authProvider session sessions sessionDate trainingSession cookieConsent policyId since until tenantId page
  pass passes passenger compass pin spinning bypass bearing discotheque sid side status 価格 constructor
`

describe('a name reads like a secret', () => {
  it.each(SECRET.trim().split(/\s+/))('%s', (name) => {
    expect(isSecretName(name)).toBe(true)
  })
})

describe('a name does not read like a secret', () => {
  it.each(INNOCENT.trim().split(/\s+/))('%s', (name) => {
    expect(isSecretName(name)).toBe(false)
  })
})

function errorOf(action: () => unknown): SecretFieldError {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(SecretFieldError)
    return error as SecretFieldError
  }
  throw new Error('nothing was refused')
}

describe('a fingerprint refuses secrets', () => {
  interface Job {
    policyId: string
    apiKey: string
    tokenId: number
    config: unknown
  }
  const job: Job = { policyId: 'p-1', apiKey: 'value-of-it', tokenId: 4, config: {} }

  it('in its list, when it is made', () => {
    const error = errorOf(() => fingerprint<Job>(['policyId', 'apiKey']))
    expect(error).toMatchObject({ code: 'secret_field', field: 'apiKey', name: 'SecretFieldError' })
    expect(error.message).toMatch(/^the field "apiKey" is named like a secret/)
  })

  it.each<[path: string, config: unknown]>([
    ['$.config.password', { password: 'value-of-it' }],
    ['$.config.a[1].client_secret', { a: [0, { client_secret: 'value-of-it' }] }],
    ['$.config["x-api-key"]', { 'x-api-key': { id: 'value-of-it' } }],
    ['$.config.made.cookie', { made: { toJSON: () => ({ cookie: 'value-of-it' }) } }],
  ])('below %s, when it is called', (path, config) => {
    const error = errorOf(() => fingerprint<Job>(['config'])({ ...job, config }))
    expect(error.path).toBe(path)
    expect(error.message).not.toContain('value-of-it')
  })

  it('among derived facts, when it is called', () => {
    const derived = fingerprint((input: Job) => ({ authorization: input.apiKey }))
    expect(errorOf(() => derived(job)).path).toBe('$.authorization')
  })

  it('unless their exact name is allowed, at any depth', () => {
    const allowing = fingerprint<Job>(['tokenId', 'config'], { allow: ['tokenId'] })
    expect(allowing({ ...job, config: [{ tokenId: 5 }] })).toMatch(/^f1\./)
    expect(errorOf(() => allowing({ ...job, config: [{ token_id: 5 }] })).path).toBe('$.config[0].token_id')
  })

  it('but not in what is left out', () => {
    expect(fingerprint<Job>(['policyId'])(job)).toBe(
      fingerprint<Job>(['policyId'])({ ...job, apiKey: 'other' }),
    )
  })

  it('and its text never shows', () => {
    const print = fingerprint<Job>(['policyId', 'config'])({ ...job, config: { region: 'eu-west' } })
    expect(print).not.toMatch(/eu-west|p-1|config|policyId/)
  })
})
