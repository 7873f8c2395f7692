import {
  CountError,
  createLedger,
  InvalidOptionError,
  type Ledger,
  LedgerClosedError,
  type LedgerOptions,
  migrate,
  migrationSql,
  type Recorder,
} from '@opsledger/core'
import { useDatabase } from '@opsledger/testing/vitest'
import { describe, expect, test } from 'vitest'
import { createLatch, delivery, useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const empty = useDatabase()
const ledgerOf = useLedgers(database)
const nowhere = () => createLedger({ connection: 'postgres://127.0.0.1:1/none' })

interface Job {
  readonly workspaceId: string
  readonly tenantId?: string | null
  readonly type?: string
  readonly fingerprint?: string
  readonly context?: unknown
}
const newOperation = (
  job: Job,
  handler: (counts: Recorder, signal: AbortSignal) => unknown = () => 'done',
  ledger = ledgerOf(),
) => {
  const operation = ledger.operation({
    type: job.type ?? 'a.b',
    scope: ({ workspaceId, tenantId = null }: Job) => ({ workspaceId, tenantId }),
    fingerprint: ({ fingerprint = 'f' }) => fingerprint,
    context: ({ context = null }) => context,
    handler: ({ counts, signal }) => handler(counts, signal),
  })
  return { ledger, open: () => operation.open(job), deliver: (id: string) => operation(job, delivery(id)) }
}
const rowsWritten = async () => {
  const { rows } = await database.pool().query('select count(*)::int as n from opsledger.operation_run')
  return rows[0].n as number
}
const messageOf = async (work: () => unknown): Promise<string> => {
  try {
    await work()
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('It was accepted.')
}

describe('an option that cannot be used', () => {
  const connection = 'postgres://app:sesame-open@127.0.0.1:1/none'

  test.each<[string, object]>([
    ['pool', { pool: {} }],
    ['pool', { pool: null }],
    ['kysely', { kysely: {} }],
    ['kysely', { kysely: null }],
    ['pool', { connection, pool: { options: {} } }],
    ['connection', { connection: 5432 }],
    ['schema', { connection, schema: connection }],
    ['leaseMs', { connection, leaseMs: '15s' }],
    ['connections', { connection, connections: 0 }],
    ['progressEveryMs', { connection, progressEveryMs: 1 }],
    ['admissionTimeoutMs', { connection, admissionTimeoutMs: Number.NaN }],
    ['settlementTimeoutMs', { connection, settlementTimeoutMs: -1 }],
    ['secrets', { connection, secrets: 'sesame-open' }],
    ['secrets', { connection, secrets: ['sesame-open', 5] }],
  ])('of a ledger is named: %s of %j', (option, options) => {
    const create = () => createLedger(options as LedgerOptions)
    expect(create).toThrow(InvalidOptionError)
    expect(create).toThrow(new RegExp(`^${option} is .*; allowed: `))
    expect(create).not.toThrow(/sesame-open/)
  })

  test.each<[string, object]>([
    ['pool', { pool: {} }],
    ['kysely', { kysely: {} }],
    ['kysely', { connection, kysely: { transaction() {} } }],
    ['with', { connection, with: [{}] }],
    ['with', { connection, with: '@opsledger/dedupe' }],
  ])('of migrate() is named: %s of %j', async (option, options) => {
    const message = await messageOf(() => migrate(options))
    expect(message.startsWith(`${option} is `)).toBe(true)
    expect(message).toContain('; allowed: ')
  })

  const closed = { connection: 'postgres://127.0.0.1:1/none' }
  test.each<[string, (ledger: Ledger) => unknown]>([
    [
      'leasMs is not an option of createLedger; did you mean leaseMs?',
      () => createLedger({ ...closed, leasMs: 1 } as LedgerOptions),
    ],
    [
      'scheme is not an option of migrate; did you mean schema?',
      () => migrate({ ...closed, scheme: 'ops' } as object),
    ],
    [
      'with_ is not an option of migrationSql; did you mean with?',
      () => migrationSql({ with_: [] } as object),
    ],
    [
      'verbose is not an option of migrationSql; allowed: schema, with',
      () => migrationSql({ verbose: true } as object),
    ],
    [
      'workspace is not an option of sweep; did you mean workspaceId?',
      (ledger) => ledger.sweep({ workspace: 'w' } as object),
    ],
    [
      'runsOlderThenMs is not an option of prune; did you mean runsOlderThanMs?',
      (ledger) => ledger.prune({ runsOlderThanMs: 1, ...{ runsOlderThenMs: 1 } }),
    ],
    [
      'within is not an option of close; did you mean withinMs?',
      (ledger) => ledger.close({ within: 1 } as object),
    ],
    [
      'fingreprint is not an option of operation; did you mean fingerprint?',
      (ledger) => ledger.operation({ fingreprint: () => 'f' } as never),
    ],
  ])('that does not exist is named, and so is the one that was meant: %s', async (message, call) => {
    const ledger = ledgerOf()
    await expect(async () => call(ledger)).rejects.toThrow(InvalidOptionError)
    expect(await messageOf(() => call(ledger))).toBe(message)
    await expect(ledger.ready()).resolves.toBeUndefined()
  })

  test.each<[string, (ledger: Ledger) => Promise<unknown>]>([
    ['workspaceId', (ledger) => ledger.sweep({ workspaceId: '' })],
    ['deliveryLimitMs.a.b', (ledger) => ledger.sweep({ deliveryLimitMs: { 'a.b': -1 } })],
    ['withinMs', (ledger) => ledger.close({ withinMs: -1 })],
  ])('of a call is named, and the ledger stays as it is: %s', async (option, call) => {
    const ledger = ledgerOf()
    const message = await messageOf(() => call(ledger))
    expect(message.startsWith(`${option} is `)).toBe(true)
    await expect(ledger.ready()).resolves.toBeUndefined()
  })

  test('is shown short and without what looks like a secret', async () => {
    const secret = 'postgres://app:sesame-open@db.example/app'
    for (const schema of [secret, [secret], { toString: () => secret }]) {
      const message = await messageOf(() => createLedger({ connection, schema: schema as string }))
      expect(message).toMatch(/^schema is .*\[redacted\]/)
      expect(message).not.toContain('sesame-open')
    }
    const long = await messageOf(() => createLedger({ connection, schema: 'schema '.repeat(100_000) }))
    expect(long.length).toBeLessThan(200)
  })
})

describe('a guard that is none', () => {
  test.each([null, {}, 5, 'createGuard'])('%j is refused by operations and system jobs', (wrong) => {
    const ledger = nowhere()
    const guard = wrong as never
    const common = { type: 'a.b', guard, handler: () => {} }
    const operation = { ...common, scope: () => ({ workspaceId: 'w' }), fingerprint: () => 'f' }
    expect(() => ledger.operation(operation)).toThrow(/^guard is .*; allowed: .*made for this ledger/)
    expect(() => ledger.systemJob({ ...common, workspaceId: () => 'w' })).toThrow(/^guard is /)
  })
})

test('work that nothing names is refused at construction, whatever the types say', () => {
  const options = { type: 'a.b', scope: () => ({ workspaceId: 'w' }), handler: () => {} }
  expect(() => nowhere().operation(options as never)).toThrow(
    /^fingerprint is undefined; allowed: a function of the payload, unless `runId` is given$/,
  )
})

describe('a type', () => {
  test.each(["o'hara", 'a"b', '$1', '%s; drop', 'ops/ä 日本 😀', 'two\nlines', 'x'.repeat(100)])(
    '%j is kept as it is',
    async (type) => {
      const scope = { workspaceId: 'type' }
      expect(await newOperation({ ...scope, type }).deliver('d1')).toMatchObject({ executed: true })
      const { runs } = await ledgerOf().list(scope, { type })
      expect(runs.map((run) => run.type)).toEqual([type])
    },
  )

  test.each(['', 'a\u0000b', '\ud800', 'x'.repeat(101), 5, undefined])('%j is refused', (type) => {
    const options = { scope: () => ({ workspaceId: 'w' }), fingerprint: () => 'f', handler() {} }
    expect(() => nowhere().operation({ ...options, type: type as string })).toThrow(
      /^type is .*; allowed: text of 1 to 100 characters/s,
    )
  })
})

describe('a part of an identity', () => {
  const FINGERPRINTS = [
    'f',
    'f'.repeat(10_240),
    'f'.repeat(10_241),
    'a\u0000b',
    'a\\u0000b',
    "a'b",
    'a"b',
    'a","b',
    '😀',
    '\ud83d',
    '\ude00',
    '\ufffd',
    't2',
    '["w","t2"]',
  ]

  test('is taken as it is: none of these is the work of another, and no tenant meets another', async () => {
    const ids = new Set<string>()
    for (const tenantId of ['t1', 't2', 't1","t2']) {
      for (const fingerprint of FINGERPRINTS) {
        const work = newOperation({ workspaceId: 'parts', tenantId, fingerprint })
        const { run, state } = await work.open()
        expect(state).toBe('opened')
        ids.add(run.id)
        expect(await work.open()).toMatchObject({ state: 'already_open', run: { id: run.id } })
      }
    }
    expect(ids.size).toBe(3 * FINGERPRINTS.length)
    const { runs } = await ledgerOf().list({ workspaceId: 'parts', tenantId: 't2' }, { limit: 100 })
    expect(runs).toHaveLength(FINGERPRINTS.length)
  })

  test.each<[string, Partial<Job>]>([
    ['scope.workspaceId', { workspaceId: 'w'.repeat(10_240) }],
    ['scope.tenantId', { tenantId: 'a\u0000b' }],
    ['scope.tenantId', { tenantId: '\ud800' }],
    ['scope.tenantId', { tenantId: '' }],
    ['fingerprint', { fingerprint: '' }],
    ['fingerprint', { fingerprint: 5 as never }],
    ['context', { context: 'c'.repeat(1_000_000) }],
    ['context', { context: { deep: 'a\u0000b' } }],
    ['context', { context: { n: 1n } }],
  ])('that cannot be kept is refused before anything is written: %s', async (option, wrong) => {
    const before = await rowsWritten()
    const operation = newOperation({ workspaceId: 'refused', ...wrong })
    for (const ask of [operation.open, () => operation.deliver('d1')]) {
      const message = await messageOf(ask)
      expect(message).toMatch(new RegExp(`^${option} is .*; allowed: `, 's'))
      expect(message.length).toBeLessThan(300)
    }
    expect(await rowsWritten()).toBe(before)
  })
})

test('a payload and a value of a megabyte go through the handler, and nothing of them into the ledger', async () => {
  const text = 'p'.repeat(1_048_576)
  const operation = ledgerOf().operation({
    type: 'a.b',
    scope: (_: { id: string; text: string }) => ({ workspaceId: 'large' }),
    fingerprint: ({ id }) => id,
    handler: ({ payload }) => payload.text,
  })
  const verdict = await operation({ id: '1', text }, delivery('d1'))
  expect(verdict.executed && verdict.value === text).toBe(true)
  const { rows } = await database
    .pool()
    .query("select length(r::text) as length from opsledger.operation_run r where workspace_id = 'large'")
  expect(rows).toHaveLength(1)
  expect(rows[0].length).toBeLessThan(1_000)
})

describe('a ledger', () => {
  test('is closed once, however often it is told, and says so afterwards', async () => {
    const { ledger, deliver, open } = newOperation({ workspaceId: 'closed' })
    await deliver('d1')
    await Promise.all([ledger.close(), ledger.close({ withinMs: 1 }), ledger[Symbol.asyncDispose]()])
    await expect(ledger.close()).resolves.toBeUndefined()
    for (const ask of [
      () => deliver('d2'),
      open,
      () => ledger.sweep(),
      () => ledger.list({ workspaceId: 'w' }),
    ])
      await expect(ask()).rejects.toThrow(LedgerClosedError)
  })

  test('that never connected closes too, whatever its database', async () => {
    await expect(nowhere().close()).resolves.toBeUndefined()
  })

  test('used before its migrations ran names the command, and works once they have run', async () => {
    const { deliver, open } = newOperation(
      { workspaceId: 'early' },
      undefined,
      ledgerOf({ connection: empty.url, schema: 'ops_1' }),
    )
    const command = /^Schema "ops_1" lacks .*Run `npx opsledger migrate --schema ops_1`/
    await expect(open()).rejects.toThrow(command)
    await expect(deliver('d1')).rejects.toThrow(command)
    await migrate({ connection: empty.url, schema: 'ops_1' })
    expect(await deliver('d1')).toMatchObject({ executed: true, settlement: 'settled' })
  })

  test('closed beside another one of this process leaves that one alone', async () => {
    const [first, second] = [newOperation({ workspaceId: 'two' }), newOperation({ workspaceId: 'two' })]
    await first.deliver('d1')
    await first.ledger.close()
    expect(await second.deliver('d2')).toMatchObject({ executed: true, settlement: 'settled' })
  })
})

describe('a handler', () => {
  test('that ignores its signal does not hold up a shutdown; what it returns later is unconfirmed', async () => {
    const stuck = createLatch<string>()
    const { ledger, deliver } = newOperation({ workspaceId: 'stuck' }, stuck.hold)
    const delivered = deliver('d1')
    await stuck.entered
    const [run] = (await ledger.list({ workspaceId: 'stuck' })).runs
    await ledger.close({ withinMs: 50 })
    expect(run).toMatchObject({ status: 'running', completedAt: null })

    stuck.leave('late')
    expect(await delivered).toMatchObject({ executed: true, value: 'late', settlement: 'unconfirmed' })
    const swept = await ledgerOf().sweep({ workspaceId: 'stuck' })
    expect(swept).toMatchObject([{ id: run!.id, outcome: 'failed', reasonCode: 'worker.lost' }])
  })

  test('that returns although it was told to stop has done its work', async () => {
    const late = createLatch<string>()
    const { ledger, deliver } = newOperation({ workspaceId: 'finishing' }, async (counts, signal) => {
      const value = await late.hold()
      if (signal.aborted) counts.itemSucceeded(2)
      return value
    })
    const delivered = deliver('d1')
    await late.entered
    const closing = ledger.close()
    late.leave('done')
    expect(await delivered).toMatchObject({
      value: 'done',
      settlement: 'settled',
      run: { outcome: 'succeeded', counts: { total: 2, processed: 2, failed: 0 } },
    })
    await closing
  })

  test('that counts after it has returned is told, and the counts stay as they were settled', async () => {
    let kept: Recorder | undefined
    const { ledger, deliver } = newOperation({ workspaceId: 'late counts' }, (counts) => {
      counts.itemSucceeded()
      kept = counts
    })
    await deliver('d1')
    for (const count of [
      () => kept!.itemSucceeded(),
      () => kept!.itemFailed('provider.rejected'),
      () => kept!.setTotal(5),
    ]) {
      expect(count).toThrow(CountError)
      expect(count).toThrow(/This attempt has ended/)
    }
    const { runs } = await ledger.list({ workspaceId: 'late counts' })
    expect(runs).toMatchObject([{ counts: { total: 1, processed: 1, failed: 0 } }])
  })

  test.each([
    ['an error', new Error('no')],
    ['nothing', undefined],
    ['null', null],
    ['a text', 'no'],
  ])('that throws %s after it has counted keeps what it counted, and what it threw', async (name, thrown) => {
    const workspaceId = `throws ${name}`
    const { ledger, deliver } = newOperation({ workspaceId }, (counts) => {
      counts.setTotal(5)
      counts.itemSucceeded(2)
      counts.itemFailed('provider.rejected')
      throw thrown
    })
    await expect(deliver('d1')).rejects.toBe(thrown)
    const { runs } = await ledger.list({ workspaceId })
    expect(runs).toMatchObject([
      {
        outcome: 'failed',
        counts: { total: 5, processed: 3, failed: 1 },
        itemFailures: { 'provider.rejected': 1 },
      },
    ])
  })
})
