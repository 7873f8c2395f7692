import { describe, expect, it } from 'vitest'
import { InvalidOptionError, MARKER, ResetRefusedError, resetAndSeed, table } from '../src/index.ts'
import { type Allow, assertAllow, type Candidate, refusals } from '../src/safety/allow.ts'

const here = (database: string, more: Partial<Candidate> = {}): Candidate => ({
  database,
  host: 'localhost',
  ...more,
})

describe('what may be reset', () => {
  it.each<[string, Candidate, Allow]>([
    ['an exact name on this machine', here('app_test'), { database: 'app_test' }],
    ['a pattern that matches the whole name', here('app_test_7'), { database: 'app_test_*' }],
    ['one of several patterns', here('ci_7'), { database: ['app_test', /ci_\d+/] }],
    ['a socket', here('app_test', { host: '/var/run/postgresql' }), { database: 'app_test' }],
    ['a loopback address', here('app_test', { host: '127.0.1.1' }), { database: 'app_test' }],
    [
      'a host that is named',
      here('app_test', { host: 'postgres' }),
      { database: 'app_test', hosts: ['postgres'] },
    ],
    ['a marked database', here('anything', { comment: `dev. ${MARKER}` }), { marker: true }],
    ['deliveries, which are not live', here('delivery_test'), { database: 'delivery_test' }],
    [
      'a name that looks like production and is vouched for',
      here('product_test'),
      { database: 'product_*', productionLike: ['product_test'] },
    ],
  ])('is %s', (_, candidate, allow) => {
    expect(() => assertAllow(allow)).not.toThrow()
    expect(refusals(candidate, allow)).toEqual([])
  })

  it.each<[string, Candidate, Allow, RegExp]>([
    ['a name that matches only in part', here('my_app_test'), { database: 'app_test' }, /does not match/],
    ['a name an expression finds inside', here('contest'), { database: /test/ }, /does not match/],
    ['a dot that is no wildcard', here('appxtest'), { database: 'app.test' }, /does not match/],
    [
      'another host',
      here('app_test', { host: 'db.example.com' }),
      { database: 'app_test' },
      /not this machine/,
    ],
    [
      'a host that only begins like this machine',
      here('app_test', { host: 'localhost.example.com' }),
      { database: 'app_test' },
      /not this machine/,
    ],
    [
      'a production-looking name, though it matches',
      here('app_prod'),
      { database: 'app_*' },
      /looks like production/,
    ],
    ['live', here('app_live'), { database: 'app_*' }, /looks like production/],
    ['primary', here('primary_test'), { database: '*_test' }, /looks like production/],
    [
      'a production-looking host, though it is named',
      here('app_test', { host: 'prod-db' }),
      { database: 'app_test', hosts: ['prod-db'] },
      /host "prod-db" looks like production/,
    ],
    [
      'a database without the mark',
      here('app_test', { comment: null }),
      { marker: true },
      /does not carry the mark/,
    ],
    [
      'a marked database of another name',
      here('other', { comment: MARKER }),
      { marker: true, database: 'app_test' },
      /does not match/,
    ],
    ['a server with standbys', here('app_test', { standbys: 2 }), { database: 'app_test' }, /2 standby/],
    [
      'a maintenance database',
      here('postgres'),
      { database: 'postgres', productionLike: ['postgres'] },
      /maintenance/,
    ],
  ])('is not %s', (_, candidate, allow, reason) => {
    expect(refusals(candidate, allow).join('\n')).toMatch(reason)
  })

  it('is told with every reason at once', () => {
    const reasons = refusals(
      { database: 'app_prod', host: 'prod.example.com', standbys: 1 },
      { database: 'app_test' },
    )
    expect(reasons).toHaveLength(5)
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['an empty object', {}],
    ['no pattern', { database: [] }],
    ['a mark that is not asked for', { marker: false }],
    ['everything by a star', { database: '*' }],
    ['everything by an expression', { database: ['app_test', /.*/] }],
  ])('cannot be said by %s', (_, allow) => {
    expect(() => assertAllow(allow as Allow)).toThrow(InvalidOptionError)
  })

  it('mutant: without its pattern the refused database would pass, so the pattern is what refuses', () => {
    const candidate = here('app_staging', { comment: MARKER })
    expect(refusals(candidate, { marker: true, database: 'app_test' })).toHaveLength(1)
    expect(refusals(candidate, { marker: true })).toEqual([])
  })

  it('is asked before a connection is opened', async () => {
    const reset = resetAndSeed({
      connection: 'postgres://nobody@db.invalid:1/app_prod',
      allow: { database: 'app_test' },
      schemas: ['app'],
      migrate: () => {},
      tables: [table('app.one', { count: 1, columns: {} })],
    })
    await expect(reset).rejects.toThrow(ResetRefusedError)
    await expect(reset).rejects.toMatchObject({ code: 'reset_refused', database: 'app_prod' })
  })
})
