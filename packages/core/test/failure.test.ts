import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import vm from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidOptionError, OpsLedgerError } from '../src/errors.ts'
import { describeFailure, MAX_FAILURE_MESSAGE_LENGTH, NO_MESSAGE } from '../src/failure/describe-failure.ts'
import { OperationError } from '../src/failure/operation-error.ts'
import { isReasonCode, REASON_CODES } from '../src/failure/reason-code.ts'
import { createRedactor, type Redactor } from '../src/redaction/redactor.ts'

const redactor = createRedactor()
const describeIt = (thrown: unknown) => describeFailure(thrown, redactor)

/** What a function throws, or rejects with. */
async function thrownBy(work: () => unknown): Promise<unknown> {
  try {
    await work()
  } catch (thrown) {
    return thrown
  }
  throw new Error('nothing was thrown')
}

/** Has the fields a `DatabaseError` of `pg` has. */
const databaseError = (code: string, message: string, cause?: unknown) =>
  Object.assign(new Error(message, { cause }), {
    code,
    severity: 'ERROR',
    detail: 'Key (email)=(bob-detail) already exists.',
    where: 'bob-where',
    internalQuery: 'select bob-query',
    parameters: ['bob-parameter'],
  })

const throwingTraps = new Proxy({} as ProxyHandler<object>, {
  get: () => () => {
    throw new Error('trap')
  },
})

class ClaimLostError extends OpsLedgerError {
  readonly code = 'claim_lost'
}

describe('a failure', () => {
  it('of any thrown value has a valid reason code and a message that is not empty', () => {
    const keys = fc.constantFrom(
      'message',
      'code',
      'status',
      'statusCode',
      'response',
      'cause',
      'errors',
      'name',
      'reasonCode',
      'x',
    )
    const thing = fc.oneof(
      fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true, withTypedArray: true }),
      fc.dictionary(keys, fc.anything()),
      fc.dictionary(keys, fc.anything()).map((fields) => {
        const error = new Error('x')
        for (const [key, value] of Object.entries(fields)) Object.defineProperty(error, key, { value })
        return error
      }),
    )
    fc.assert(
      fc.property(thing, (thrown) => {
        const failure = describeIt(thrown)
        expect(isReasonCode(failure.reasonCode)).toBe(true)
        expect(failure.message).not.toBe('')
        expect(failure.message.length).toBeLessThanOrEqual(MAX_FAILURE_MESSAGE_LENGTH)
        expect(failure.permanent).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    [undefined, 'undefined was thrown.'],
    [null, 'null was thrown.'],
    [42, '42 was thrown.'],
    [7n, '7 was thrown.'],
    [Symbol('x'), 'Symbol(x) was thrown.'],
    ['', 'An empty text was thrown.'],
    ['boom password=abc', 'boom password=[redacted]'],
    [() => 'x', 'A function was thrown.'],
    [{ n: 1 }, 'An object that is not an error was thrown.'],
    [Object.create(null), 'An object that is not an error was thrown.'],
    [{ message: 'hi' }, 'hi'],
    [new Proxy({}, throwingTraps), 'An object that is not an error was thrown.'],
    [new Proxy(new Error('x'), throwingTraps), 'An object that is not an error was thrown.'],
    [new Proxy(() => 'x', throwingTraps), 'A function was thrown.'],
  ])('of something that is no error is unknown.thrown', (thrown, message) => {
    expect(describeIt(thrown)).toEqual({ reasonCode: 'unknown.thrown', message, permanent: false })
  })

  it('of a revoked proxy can be told as well', () => {
    const { proxy, revoke } = Proxy.revocable(new Error('x'), {})
    revoke()
    expect(describeIt(proxy).reasonCode).toBe('unknown.thrown')
    expect(describeIt(new Error('outer', { cause: proxy })).message).toBe('outer')
  })

  it('of an error without any fact is unknown.error, with its message', () => {
    expect(describeIt(new Error('no idea'))).toMatchObject({
      reasonCode: 'unknown.error',
      message: 'no idea',
    })
    expect(describeIt(new Error(''))).toMatchObject({ message: REASON_CODES['unknown.error'] })
    expect(describeIt(Object.freeze(new Error('frozen'))).message).toBe('frozen')
    expect(describeIt(Object.assign(new Error('x'), { message: { toString: null } })).reasonCode).toBe(
      'unknown.error',
    )
  })

  it('is read without calling own accessors, and survives accessors that throw', () => {
    let calls = 0
    const error = new Error('x')
    for (const key of ['message', 'code', 'cause', 'status', 'name', 'response', 'errors']) {
      Object.defineProperty(error, key, { get: () => ++calls })
    }
    expect(describeIt(error).reasonCode).toBe('unknown.error')
    expect(calls).toBe(0)
    class Hostile extends Error {
      get code(): string {
        throw new Error('no')
      }
    }
    expect(describeIt(new Hostile('kept')).message).toBe('kept')
  })

  it('of an error of another realm is that of an error', () => {
    const foreign = vm.runInNewContext('(() => { try { null.x } catch (e) { return e } })()')
    expect(foreign).not.toBeInstanceOf(Error)
    expect(describeIt(foreign).reasonCode).toBe('runtime.type_error')
  })

  it('ends on cycles and on chains without end', () => {
    const a = new Error('a')
    const b = new Error('b', { cause: a })
    a.cause = b
    expect(describeIt(a).message).toBe('a ← b')
    class Endless extends Error {
      override get cause(): unknown {
        return new Endless('again')
      }
      override set cause(_: unknown) {}
    }
    expect(describeIt(new Endless('start')).message).toBe('start ← again')
  })

  it('of an aggregate is that of the first member that knows something', () => {
    const error = new AggregateError(
      [new Error('first'), databaseError('40P01', 'deadlock detected')],
      'two failed',
    )
    expect(describeIt(error)).toMatchObject({
      reasonCode: 'database.deadlock',
      message: 'two failed ← first ← deadlock detected (SQLSTATE 40P01)',
    })
  })

  it('hides nothing of the message that is needed when the redactor fails, and shows nothing that is not cleared', () => {
    const broken: Redactor = {
      redact: () => {
        throw new Error('broken')
      },
      addSecret: () => false,
    }
    expect(describeFailure(databaseError('40001', 'secret'), broken)).toEqual({
      reasonCode: 'database.serialization_failure',
      message: NO_MESSAGE,
      permanent: false,
    })
    expect(describeFailure('x', { ...broken, redact: () => ' ' }).message).toBe(NO_MESSAGE)
    expect(describeFailure('x', { ...broken, redact: () => 7 as never }).message).toBe(NO_MESSAGE)
    const long = describeFailure('x', { ...broken, redact: () => '😀'.repeat(5_000) }).message
    expect(long.length).toBeLessThanOrEqual(MAX_FAILURE_MESSAGE_LENGTH)
    expect(long.isWellFormed()).toBe(true)
  })

  it('leaves the thrown error as it was', () => {
    const error = databaseError('22P02', 'invalid input syntax for type uuid: "bob"', new Error('inner'))
    const before = JSON.stringify(Object.getOwnPropertyDescriptors(error))
    describeIt(error)
    expect(JSON.stringify(Object.getOwnPropertyDescriptors(error))).toBe(before)
  })
})

describe('an operation error', () => {
  it('states its own reason and permanence, anywhere in the chain, the outermost first', () => {
    const inner = new OperationError('acme.inner', 'inner', { permanent: true })
    const outer = new OperationError('acme.outer', 'outer', { cause: inner })
    expect(describeIt(new Error('wrap', { cause: outer }))).toEqual({
      reasonCode: 'acme.outer',
      message: 'wrap ← outer ← inner',
      permanent: false,
    })
    expect(describeIt(databaseError('40001', 'db', inner))).toMatchObject({
      reasonCode: 'acme.inner',
      permanent: true,
    })
    expect(describeIt(new AggregateError([new Error('x'), inner], 'all'))).toMatchObject({ permanent: true })
  })

  it('counts also when it comes from another copy of this library, but not when it is only data', () => {
    const fields = { code: 'operation_error', reasonCode: 'acme.copy', permanent: true }
    expect(describeIt(Object.assign(new Error('copy'), fields))).toMatchObject({
      reasonCode: 'acme.copy',
      permanent: true,
    })
    expect(describeIt({ ...fields, message: 'body' })).toMatchObject({
      reasonCode: 'unknown.thrown',
      permanent: false,
    })
    const broken = Object.assign(new Error('copy'), { ...fields, reasonCode: 'No Code' })
    expect(describeIt(broken)).toMatchObject({ reasonCode: 'unknown.error', permanent: false })
  })

  it('is the only one to be permanent', () => {
    expect(describeIt(Object.assign(new Error('x'), { permanent: true })).permanent).toBe(false)
  })
})

describe('errors of this library', () => {
  it('carry their reason in their code', () => {
    expect(describeIt(new ClaimLostError('gone')).reasonCode).toBe('claim.lost')
    expect(describeIt(new InvalidOptionError('x', 1, 'two')).reasonCode).toBe('runtime.invalid_option')
    const aborted = Object.assign(new Error('aborted', { cause: new ClaimLostError('gone') }), {
      name: 'AbortError',
    })
    expect(describeIt(aborted).reasonCode).toBe('claim.lost')
  })
})

describe('a failure of the database', () => {
  it.each([
    [
      '22P02',
      'invalid input syntax for type uuid: "bob"',
      'invalid input syntax for type uuid: "[redacted]"',
    ],
    [
      '22P02',
      'invalid input syntax for type uuid: "b"o\nb"',
      'invalid input syntax for type uuid: "[redacted]"',
    ],
    ['22P02', 'invalid input value for enum mood: "bob"', 'invalid input value for enum mood: "[redacted]"'],
    [
      '22003',
      'value "bob" is out of range for type integer',
      'value "[redacted]" is out of range for type integer',
    ],
    [
      '22008',
      'date/time field value out of range: "bob"',
      'date/time field value out of range: "[redacted]"',
    ],
    ['42601', 'syntax error at or near "bob"', 'syntax error at or near "[redacted]"'],
    [
      '23505',
      'duplicate key value violates unique constraint "x"',
      'duplicate key value violates unique constraint "x"',
    ],
    ['23502', 'null value in column "x" of relation "y"', 'null value in column "x" of relation "y"'],
    ['42P01', 'relation "x" does not exist', 'relation "x" does not exist'],
  ])('%s loses values and keeps names: %j', (sqlstate, message, expected) => {
    expect(describeIt(databaseError(sqlstate, message)).message).toBe(`${expected} (SQLSTATE ${sqlstate})`)
    const wrapped = new Error(`repository: ${message}`, { cause: databaseError(sqlstate, message) })
    expect(describeIt(wrapped).message).toBe(`repository: ${expected} (SQLSTATE ${sqlstate})`)
    const drizzle = new Error(`Failed query: select $1\nparams: bob,\nbob`, {
      cause: databaseError(sqlstate, message),
    })
    expect(describeIt(drizzle).message).not.toContain('bob')
  })

  it('loses values also where a wrapper put the detail into its message', () => {
    expect(describeIt(new Error('Key (email)=(bob) already exists.')).message).toBe(
      'Key (email)=([redacted]) already exists.',
    )
    expect(describeIt(new Error('x. Failing row contains (1, bob).')).message).not.toContain('bob')
  })

  it('never shows detail, where, query or parameters', () => {
    expect(describeIt(databaseError('23505', 'duplicate key')).message).not.toContain('bob')
  })

  it('is told from the messages of pg that have no code', () => {
    expect(describeIt(new Error('Connection terminated unexpectedly')).reasonCode).toBe(
      'database.connection_failed',
    )
    expect(describeIt(new Error('timeout exceeded when trying to connect')).reasonCode).toBe(
      'database.connect_timeout',
    )
  })

  it('with Node’s five-letter codes is told by its severity', () => {
    expect(describeIt(Object.assign(new Error('x'), { code: 'EPIPE', syscall: 'write' })).reasonCode).toBe(
      'network.reset',
    )
    expect(describeIt(databaseError('EPIPE', 'raised')).reasonCode).toBe('database.error')
  })
})

describe('a failure of a provider', () => {
  const secrets = { config: { headers: { 'x-key': 'bob' } }, request: 'bob' }
  it.each([
    [
      'axios',
      Object.assign(new Error('Request failed with status code 503'), {
        ...secrets,
        code: 'ERR_BAD_RESPONSE',
        response: { status: 503, data: 'bob' },
      }),
      'provider.unavailable',
    ],
    [
      'got',
      Object.assign(new Error('Response code 429'), {
        ...secrets,
        code: 'ERR_NON_2XX_3XX_RESPONSE',
        response: { statusCode: 429, body: 'bob' },
      }),
      'provider.throttled',
    ],
    ['a thrown Response', new Response('bob', { status: 404 }), 'provider.not_found'],
    [
      'an error that holds a Response',
      Object.assign(new Error('HTTPError'), { response: new Response('bob', { status: 401 }) }),
      'provider.unauthorized',
    ],
    [
      'the AWS SDK',
      Object.assign(new Error('slow'), { name: 'ThrottlingException', $metadata: { httpStatusCode: 400 } }),
      'provider.throttled',
    ],
    ['Google’s client', Object.assign(new Error('x'), { code: 403, errors: ['bob'] }), 'provider.forbidden'],
    [
      'an axios timeout',
      Object.assign(new Error('timeout of 5ms exceeded'), { ...secrets, code: 'ECONNABORTED' }),
      'network.timeout',
    ],
    [
      'a cancelled axios request',
      Object.assign(new Error('canceled'), { ...secrets, name: 'CanceledError', code: 'ERR_CANCELED' }),
      'abort.signal',
    ],
    [
      'undici',
      Object.assign(
        new Error('fetch failed', {
          cause: Object.assign(new Error('late'), { code: 'UND_ERR_HEADERS_TIMEOUT' }),
        }),
        {},
      ),
      'network.timeout',
    ],
  ])('is told from what %s throws, and shows no request and no body', (_, error, reasonCode) => {
    const failure = describeIt(error)
    expect(failure.reasonCode).toBe(reasonCode)
    expect(failure.message).not.toContain('bob')
  })
})

describe('a failure of the network or the runtime', () => {
  it.each([
    ['runtime.file_not_found', () => readFileSync('/no/such/file')],
    ['runtime.type_error', () => (undefined as never as { x: 1 }).x],
    ['runtime.reference_error', () => vm.runInThisContext('noSuchName')],
    ['runtime.syntax_error', () => JSON.parse('{')],
    ['runtime.out_of_range', () => new Array(-1)],
    ['runtime.out_of_range', () => Buffer.alloc(-1)],
    ['runtime.invalid_uri', () => decodeURIComponent('%')],
    ['runtime.assertion', async () => (await import('node:assert')).ok(false)],
    ['runtime.module_not_found', () => createRequire(import.meta.url)('./no-such-module.cjs')],
    ['network.dns', async () => (await import('node:dns/promises')).lookup('no-such-host.invalid')],
    ['abort.signal', () => AbortSignal.abort().throwIfAborted()],
    [
      'abort.signal',
      async () => (await import('node:timers/promises')).setTimeout(9, 0, { signal: AbortSignal.abort() }),
    ],
    [
      'abort.timeout',
      () => {
        throw new DOMException('late', 'TimeoutError')
      },
    ],
    [
      'abort.timeout',
      async () =>
        (await import('node:timers/promises')).setTimeout(9_999, 0, { signal: AbortSignal.timeout(1) }),
    ],
    [
      'runtime.stack_overflow',
      () => {
        const again = (): number => 1 + again()
        again()
      },
    ],
  ])('is %s when it really happens', async (reasonCode, work) => {
    expect(describeIt(await thrownBy(work)).reasonCode).toBe(reasonCode)
  })

  it('keeps address and port, which are facts', async () => {
    const { createServer, connect } = await import('node:net')
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((listening) => server.once('listening', listening))
    const { port } = server.address() as { port: number }
    await new Promise((closed) => server.close(closed))
    const error = await new Promise((failed) => connect(port, '127.0.0.1').once('error', failed))
    expect(describeIt(error)).toMatchObject({
      reasonCode: 'network.refused',
      message: `connect ECONNREFUSED 127.0.0.1:${port}`,
    })
    const fetched = await thrownBy(() => fetch(`http://127.0.0.1:${port}/?token=abc`))
    expect(describeIt(fetched)).toMatchObject({
      reasonCode: 'network.refused',
      message: `fetch failed ← connect ECONNREFUSED 127.0.0.1:${port}`,
    })
  })

  it('does not show the input a parser stumbled over', async () => {
    for (const input of [
      'swordfish',
      '{"a": swordfish}',
      `["${'x'.repeat(50)}", swordfish, "${'y'.repeat(50)}"]`,
    ]) {
      const failure = describeIt(await thrownBy(() => JSON.parse(input)))
      expect(failure.message).not.toMatch(/swordfish|xx|yy/)
      expect(failure.reasonCode).toBe('runtime.syntax_error')
    }
  })
})

it('a wrapper that ends in a word for a secret does not hide what caused it', () => {
  const error = new Error('Renew the API key', { cause: new Error('GET /policies answered 401') })
  expect(describeIt(error).message).toBe('Renew the API key ← GET /policies answered 401')
})
