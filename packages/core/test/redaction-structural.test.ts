import { describe, expect, it } from 'vitest'
import { createRedactor } from '../src/redaction/redactor.ts'

const { redact } = createRedactor()
const dashes = '-'.repeat(5)
const R = '[redacted]'

/** Tokens are put together here, so that no scanner takes this file for a leak. */
const token = (...parts: string[]) => parts.join('')
const random36 = 'Fake0Fake1Fake2Fake3Fake4Fake5Fake6Fk'
const jwt = token('ey', 'Jmb28iOiJiYXIifQ', '.', 'ey', 'JzdWIiOiJ4In0', '.', 'c2lnbmF0dXJl')

describe('secrets are found by their place', () => {
  it.each([
    ['postgres://bob:pw@db.example.com:5432/app?x=1', `postgres://${R}@db.example.com:5432/app?x=1`],
    ['redis://:pw@cache:6379', `redis://${R}@cache:6379`],
    ['https://only-a-token@git.example.com/a.git', `https://${R}@git.example.com/a.git`],
    ['postgres://bob:p@ss@db/app', `postgres://${R}@db/app`],
    ['postgres://bob:p/w?#@db/app', `postgres://${R}@db/app`],
    ['root:pass99@tcp(db:3306)/app', `${R}@tcp(db:3306)/app`],
    [
      'host=db port=5432 user=bob password=pw dbname=app',
      `host=db port=5432 user=bob password=${R} dbname=app`,
    ],
    ["host=db password='p w\\'x' user=bob", `host=db password='${R}' user=bob`],
    ['Server=db;Pwd=pw;Database=app', `Server=db;Pwd=${R};Database=app`],
    [
      'jdbc:postgresql://db/app?user=bob&password=pw&ssl=true',
      `jdbc:postgresql://db/app?user=bob&password=${R}&ssl=true`,
    ],
    ['AccountName=x;AccountKey=abc==;EndpointSuffix=y', `AccountName=x;AccountKey=${R};EndpointSuffix=y`],
    ['GET /v1/items?page=2&api_key=abc&sort=asc failed', `GET /v1/items?page=2&api_key=${R}&sort=asc failed`],
    ['/cb?code=abc&state=1', `/cb?code=${R}&state=1`],
    ['{"user":"bob","password":"p\\"w","n":1}', `{"user":"bob","password":"${R}","n":1}`],
    ['{"body":"{\\"token\\":\\"abc\\",\\"n\\":1}"}', `{"body":"{\\"token\\":\\"${R}\\",\\"n\\":1}"}`],
    ["{ clientSecret: 'abc', n: 1 }", `{ clientSecret: '${R}', n: 1 }`],
    ["Map(1) { 'api-key' => 'abc' }", `Map(1) { 'api-key' => '${R}' }`],
    ['tokens: ["a","b"], count: 2', `tokens: [${R}], count: 2`],
    ['credentials: { user: "bob", "x": "y" } end', `credentials: {${R}} end`],
    ['DATABASE_PASSWORD=pw', `DATABASE_PASSWORD=${R}`],
    ['secret : pw', `secret : ${R}`],
    ['API key: abc', `API key: ${R}`],
    ['q=password%3Dpw%26n%3D1', `q=password%3D${R}%26n%3D1`],
    ['<password>pw</password>', `<password>${R}</password>`],
    ['deploy --auth-token abc --verbose', `deploy --auth-token ${R} --verbose`],
    ["create role x password 'pw' login", `create role x password '${R}' login`],
    ['Authorization: Digest a="b", c=d\r\nHost: h', `Authorization: ${R}⏎Host: h`],
    ['Cookie: a=b; c=d\nHost: h', `Cookie: ${R}⏎Host: h`],
    ['Set-Cookie: sid=b; Path=/', `Set-Cookie: ${R}`],
    ['curl -H "Authorization: Token abc" https://h/x', `curl -H "Authorization: ${R}" https://h/x`],
    ['-H \'Cookie: a="b"; c=d\' x', `-H 'Cookie: ${R}' x`],
    ['-H "Cookie: a="b"c; d=\\"e\\"" x', `-H "Cookie: ${R}" x`],
    ['password=ab…cd end', `password=${R} end`],
    [`secret=${'*'.repeat(16)}x end`, `secret=${R} end`],
    ['sent Bearer abc.def to h', `sent Bearer ${R} to h`],
    ['sent Basic dXNlcjpwYXNz to h', `sent Basic ${R} to h`],
    ['pass\u200bword=p\u202ew end', `password=${R} end`],
    ['password=a\u200bb\u0000c end', `password=${R} end`],
  ])('%j', (text, expected) => {
    expect(redact(text)).toBe(expected)
  })
})

describe('secrets are found by their shape', () => {
  it.each([
    ['a JSON web token', jwt],
    ['a JSON web token that was cut', jwt.slice(0, 24)],
    ['a GitHub token', token('gh', 'p_', random36)],
    ['a fine-grained GitHub token', token('github', '_pat_', random36)],
    ['a GitLab token', token('gl', 'pat-', 'fakefakefakefakefake')],
    ['a Slack token', token('xo', 'xb-', '000000000000-fakefake')],
    ['a Stripe key', token('sk', '_live_', 'fakefakefakefake')],
    ['an OpenAI key', token('sk', '-proj-', 'fakefakefakefakefake')],
    ['an AWS access key id', token('AK', 'IA', 'FAKEFAKEFAKE2345')],
    ['an AWS secret key', token('wFakeFakeFKE', 'MI/K7FAKEG/b', 'PxRfiCYFAKEKEY12')],
    ['a Google key', token('AI', 'za', 'Fake-Fake-Fake-Fake-Fake-Fake-Fake0')],
    ['a SendGrid key', token('S', 'G.', 'fakefakefakefakefake', '.', 'fakefake')],
    ['an npm token', token('np', 'm_', random36)],
    ['32 hex digits', '0f1e2d3c4b5a69788796a5b4c3d2e1f0'],
    ['64 hex digits', '0F1E2D3C4B5A69788796A5B4C3D2E1F0'.repeat(2)],
    ['random base64', 'q83vEjRWeJq83vEjRWeJCrze8SNFZ4kKvN7xI0Vn'],
    ['random base32', 'mfrggzdfmztwq2lknnwg23tpobyxe43u'],
  ])('%s', (_, secret) => {
    expect(redact(`before ${secret} after`)).toBe(`before ${R} after`)
    expect(redact(`key "${secret}", then`)).toBe(`key "${R}", then`)
    expect(redact(`bef\u200bore ${Array.from(secret).join('\u200d')} after`)).toBe(`before ${R} after`)
    expect(redact(`x\u200b${secret}`)).not.toContain(secret.slice(4, 20))
  })

  it('a PEM block, whole, escaped, cut at its end and cut at its beginning', () => {
    const begin = `${dashes}BEGIN RSA PRIVATE KEY${dashes}`
    const end = `${dashes}END RSA PRIVATE KEY${dashes}`
    expect(redact(`a ${begin}\nMIIfake\nfake==\n${end} b`)).toBe(`a ${R} b`)
    expect(redact(`a ${begin}\\nMIIfake\\nfake==\\n${end} b`)).toBe(`a ${R} b`)
    expect(redact(`a ${begin}\nMIIfake\nfa`)).toBe(`a ${R}`)
    expect(redact(`at: fake\nfake==\n${end} b`)).toBe(`at:${R} b`)
  })

  it('no token, wherever the cap cuts the text', () => {
    const secret = token('gh', 'p_', random36)
    const small = createRedactor({ maxLength: 64 })
    for (let position = 0; position < 64; position++) {
      expect(small.redact(`${'. '.repeat(64).slice(0, position)} ${secret} tail`)).not.toMatch(/gh|Fa/)
    }
    const far = `${'. '.repeat(2_068)}${secret.slice(0, 24)}${secret.repeat(3)}`
    expect(small.redact(far)).not.toMatch(/gh|Fa/)
  })
})

describe('ordinary text stays readable', () => {
  it.each([
    'run 018f3c5e-7b7a-7cc3-9f2a-0123456789ab of tenant 6f9619ff-8b86-4011-b42d-00cf4fc964ff',
    '2026-07-31T10:20:30.000Z took 1234 ms, 5 of 12 items failed',
    'canceling statement due to statement timeout (SQLSTATE 57014)',
    'duplicate key value violates unique constraint "operation_run_pkey"',
    'password authentication failed for user "bob"',
    'connect ECONNREFUSED 10.0.0.12:5432',
    'connect ECONNREFUSED ::1:5432',
    'getaddrinfo ENOTFOUND ip-10-0-0-12.eu-central-1.compute.internal',
    'pod assignment-worker-7d9f8b6c5d-x2x4z on node-3',
    'https://api.example.com:8080/v1/assignments/018f3c5e-7b7a-7cc3-9f2a-0123456789ab/items?page=2&limit=50',
    'mail to mailto:bob@example.com, npm:react@18.2.0, git@github.com:a/b.git',
    'provider.throttled: 429 Too Many Requests, retry after 30 s',
    'Unexpected end of JSON input',
    'Bearer token is missing, Basic authentication is required',
    'max_tokens=4096, total_tokens: 12, token_type: bearer',
    'password: null, hasPassword: true, token: undefined, secret=***',
    "ENOENT: no such file or directory, open '/var/lib/opsledger/node_modules/Some-Package2/dist/index.js'",
    'packages/core/src/redaction/known-values.ts:12:34',
    'ulid 01ARZ3NDEKTSV4RRFFQ69G5FAV, object id 507f1f77bcf86cd799439011',
    'assignmentRestoreBackgroundProcessorFactoryBean and SOME_VERY_LONG_CONSTANT_NAME_OF_A_LIBRARY_2',
    'Grüße an 東京, naïve café — “quoted” 😀',
    'workspace:acme bypass=true compass=north 100% done & 5 < 6',
    '',
  ])('%j', (text) => {
    expect(redact(text)).toBe(text)
  })
})
