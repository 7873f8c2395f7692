import { constants } from 'node:os'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { httpStatusReason } from '../src/failure/http-status.ts'
import { nodeErrorReason } from '../src/failure/node-error.ts'
import { REASON_CODES } from '../src/failure/reason-code.ts'
import { isSqlstate, sqlstateReason } from '../src/failure/sqlstate.ts'
import { stripValues } from '../src/failure/strip-values.ts'

const isOfTheSet = (code: string) => Object.hasOwn(REASON_CODES, code)

describe('the mapping of SQLSTATEs', () => {
  it('is total over all five-character codes', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9A-Z]{5}$/), (sqlstate) => {
        expect(isSqlstate(sqlstate)).toBe(true)
        expect(isOfTheSet(sqlstateReason(sqlstate))).toBe(true)
        expect(sqlstateReason(sqlstate)).toMatch(/^database\./)
      }),
    )
  })

  it.each([
    ['08006', 'database.connection_failed'],
    ['0A000', 'database.feature_unsupported'],
    ['22P02', 'database.invalid_data'],
    ['23505', 'database.unique_violation'],
    ['23P01', 'database.constraint_violation'],
    ['25006', 'database.read_only'],
    ['28P01', 'database.authentication_failed'],
    ['40001', 'database.serialization_failure'],
    ['40P01', 'database.deadlock'],
    ['40003', 'database.transaction_rolled_back'],
    ['42501', 'database.permission_denied'],
    ['42601', 'database.invalid_statement'],
    ['42P01', 'database.undefined_object'],
    ['53100', 'database.disk_full'],
    ['53200', 'database.out_of_memory'],
    ['53300', 'database.too_many_connections'],
    ['55P03', 'database.lock_unavailable'],
    ['57014', 'database.query_cancelled'],
    ['57P01', 'database.shutdown'],
    ['57P03', 'database.starting'],
    ['P0001', 'database.raised'],
    ['XX000', 'database.internal_error'],
    ['ZZ999', 'database.error'],
  ])('%s is %s', (sqlstate, reasonCode) => {
    expect(sqlstateReason(sqlstate)).toBe(reasonCode)
  })

  it('takes nothing else for one', () => {
    for (const code of ['2350', '235050', '2350a', '23 05', '', 23505, undefined])
      expect(isSqlstate(code)).toBe(false)
  })
})

describe('the mapping of HTTP statuses', () => {
  it('is total from 300 to 599, and has nothing to say to other numbers', () => {
    for (let status = 300; status <= 599; status++)
      expect(isOfTheSet(httpStatusReason(status) ?? '')).toBe(true)
    for (const status of [0, 100, 200, 204, 299, 600, 404.5, Number.NaN, -404]) {
      expect(httpStatusReason(status)).toBeUndefined()
    }
  })

  it.each([
    [304, 'provider.redirected'],
    [400, 'provider.rejected'],
    [401, 'provider.unauthorized'],
    [403, 'provider.forbidden'],
    [404, 'provider.not_found'],
    [408, 'provider.timeout'],
    [409, 'provider.conflict'],
    [418, 'provider.rejected'],
    [422, 'provider.rejected'],
    [429, 'provider.throttled'],
    [500, 'provider.error'],
    [502, 'provider.unavailable'],
    [503, 'provider.unavailable'],
    [504, 'provider.timeout'],
  ] as const)('%d is %s', (status, reasonCode) => {
    expect(httpStatusReason(status)).toBe(reasonCode)
  })
})

describe('the mapping of Node’s codes', () => {
  it('is total over the system errors of this platform', () => {
    for (const code of Object.keys(constants.errno))
      expect(isOfTheSet(nodeErrorReason(code) ?? ''), code).toBe(true)
  })

  it.each([
    ['ECONNREFUSED', 'network.refused'],
    ['ECONNRESET', 'network.reset'],
    ['ETIMEDOUT', 'network.timeout'],
    ['EAI_AGAIN', 'network.dns'],
    ['EHOSTUNREACH', 'network.unreachable'],
    ['CERT_HAS_EXPIRED', 'network.tls'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'network.tls'],
    ['HPE_INVALID_CONSTANT', 'network.protocol'],
    ['UND_ERR_DESTROYED', 'network.error'],
    ['ENOSPC', 'runtime.disk_full'],
    ['EMFILE', 'runtime.too_many_files'],
    ['EACCES', 'runtime.permission_denied'],
    ['ERR_WORKER_OUT_OF_MEMORY', 'runtime.out_of_memory'],
    ['ERR_SOMETHING_NEW', 'runtime.node_error'],
    ['EXDEV', 'runtime.system_error'],
    ['toString', undefined],
    ['P2002', undefined],
    ['', undefined],
  ] as const)('%s is %s', (code, reasonCode) => {
    expect(nodeErrorReason(code)).toBe(reasonCode)
  })

  it('tells a connection that was denied from a file that was', () => {
    expect(nodeErrorReason('EACCES', 'connect')).toBe('network.refused')
    expect(nodeErrorReason('EACCES', 'open')).toBe('runtime.permission_denied')
  })
})

describe('values in messages', () => {
  it('never survive behind the words of the driver', () => {
    const value = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).map((text) => `zq${text}qz`)
    const before = fc.constantFrom(
      'invalid input syntax for type uuid: ',
      'invalid input syntax for type timestamp with time zone: ',
      'wrapped: malformed array literal: ',
      'error: syntax error at or near ',
    )
    fc.assert(
      fc.property(before, value, (words, inner) => {
        expect(stripValues(`${words}"${inner}"`)).toBe(`${words}"[redacted]"`)
      }),
    )
  })

  it('would survive in part if the first closing quote were taken for the last', () => {
    const naive = (text: string) => text.replace(/: "[^"]*"/, ': "[redacted]"')
    expect(naive('invalid input syntax for type uuid: "a"bob"')).toContain('bob')
    expect(stripValues('invalid input syntax for type uuid: "a"bob"')).not.toContain('bob')
  })
})
