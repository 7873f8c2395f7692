import { randomUUID } from 'node:crypto'
import { runInNewContext } from 'node:vm'
import { InvalidOptionError, type Page, type Run } from '@opsledger/core'
import { beforeAll, describe, expect, test } from 'vitest'
import { useCoreDatabase, useLedgers } from './support/ledger.ts'
import { insertRow, type Row, RUNS } from './support/rows.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

const AT = Date.parse('2026-01-01T00:00:00Z')
const minute = (n: number) => new Date(AT + n * 60_000)
const idsOf = (runs: readonly Run[]) => runs.map((run) => run.id)

async function insertRuns<K extends string>(rows: Record<K, Row>): Promise<Record<K, string>> {
  const ids = {} as Record<K, string>
  for (const [name, row] of Object.entries<Row>(rows)) {
    await insertRow(database.pool(), 'operation_run', row)
    ids[name as K] = row.id as string
  }
  return ids
}

describe('the scope of a read', () => {
  const ledger = () => ledgerOf()
  let ids: Record<'t1' | 't2' | 'system' | 'otherWorkspace' | 'sameTenantElsewhere', string>
  beforeAll(async () => {
    ids = await insertRuns({
      t1: { ...RUNS.queued(), workspace_id: 'scoped', tenant_id: 't1', created_at: minute(1) },
      t2: { ...RUNS.queued(), workspace_id: 'scoped', tenant_id: 't2', created_at: minute(2) },
      system: { ...RUNS.queued(), workspace_id: 'scoped', tenant_id: null, created_at: minute(3) },
      otherWorkspace: { ...RUNS.queued(), workspace_id: 'other', tenant_id: null },
      sameTenantElsewhere: { ...RUNS.queued(), workspace_id: 'other', tenant_id: 't1' },
    })
  })

  test.each([
    [{ workspaceId: 'scoped', tenantId: 't1' }, ['t1']],
    [{ workspaceId: 'scoped', tenantId: 't2' }, ['t2']],
    [{ workspaceId: 'scoped' }, ['system']],
    [{ workspaceId: 'scoped', tenantId: null }, ['system']],
    [{ workspaceId: 'scoped', tenantId: 't3' }, []],
    [{ workspaceId: 'nobody' }, []],
  ] as const)(
    '%j sees exactly its own runs, by id, in lists and among the open ones',
    async (scope, seen) => {
      const reads = ledger()
      for (const [name, id] of Object.entries(ids)) {
        const run = await reads.get(scope, id)
        expect(run?.id ?? null).toBe((seen as readonly string[]).includes(name) ? id : null)
      }
      const expected = seen.map((name) => ids[name])
      expect(idsOf((await reads.list(scope)).runs)).toEqual(expected)
      expect(idsOf(await reads.openRuns(scope))).toEqual(expected)
    },
  )

  test('across tenants a workspace sees all of its runs, newest first, and none of another workspace', async () => {
    const { acrossTenants } = ledger()
    const all = [ids.system, ids.t2, ids.t1]
    expect(idsOf((await acrossTenants.list('scoped')).runs)).toEqual(all)
    expect(idsOf(await acrossTenants.openRuns('scoped'))).toEqual(all)
    expect((await acrossTenants.get('scoped', ids.t2))?.id).toBe(ids.t2)
    expect(await acrossTenants.get('scoped', ids.otherWorkspace)).toBeNull()
  })

  test('an id that is no UUID, or nobody has, is not found', async () => {
    const reads = ledger()
    const scope = { workspaceId: 'scoped', tenantId: 't1' }
    expect(await reads.get(scope, 'not-a-uuid')).toBeNull()
    expect(await reads.get(scope, "'; drop table")).toBeNull()
    expect(await reads.get(scope, randomUUID())).toBeNull()
    expect((await reads.get(scope, ids.t1.toUpperCase()))?.id).toBe(ids.t1)
  })

  test.each([
    ['get', (scope: never) => ledger().get(scope, randomUUID())],
    ['list', (scope: never) => ledger().list(scope)],
    ['openRuns', (scope: never) => ledger().openRuns(scope)],
  ])('%s without a usable scope is refused', async (_, read) => {
    for (const scope of [
      undefined,
      {},
      { workspaceId: '' },
      { workspaceId: 'w', tenantId: '' },
      { workspaceId: 'scoped', tenantId: undefined },
      { workspaceId: 'scoped', tenantid: 't1' },
    ]) {
      await expect(read(scope as never)).rejects.toThrow(InvalidOptionError)
    }
  })

  test.each([
    ['get', (workspaceId: never) => ledger().acrossTenants.get(workspaceId, randomUUID())],
    ['list', (workspaceId: never) => ledger().acrossTenants.list(workspaceId)],
    ['openRuns', (workspaceId: never) => ledger().acrossTenants.openRuns(workspaceId)],
  ])('acrossTenants.%s without a usable workspace is refused', async (_, read) => {
    for (const workspaceId of [undefined, null, '', 5, { workspaceId: 'scoped' }, 'a\u0000b']) {
      await expect(read(workspaceId as never)).rejects.toThrow(
        /^workspaceId is .*; allowed: text of 1 to 200/s,
      )
    }
  })

  test('an id that is not even text is a mistake of the caller', async () => {
    for (const id of [undefined, null, 5, {}]) {
      await expect(ledger().get({ workspaceId: 'scoped' }, id as never)).rejects.toThrow(
        /^runId is .*; allowed: the id of a run$/,
      )
      await expect(ledger().acrossTenants.get('scoped', id as never)).rejects.toThrow(InvalidOptionError)
    }
  })
})

describe('the filters of a list', () => {
  const scope = { workspaceId: 'filtered', tenantId: 't1' }
  let ids: Record<'queued' | 'running' | 'succeeded' | 'failed' | 'otherType', string>
  beforeAll(async () => {
    const run = (row: Row, n: number) => ({ ...row, workspace_id: 'filtered', created_at: minute(n) })
    ids = await insertRuns({
      queued: run(RUNS.queued(), 1),
      running: run({ ...RUNS.running(), delivery_id: 'wanted' }, 2),
      succeeded: run({ ...RUNS.succeeded(), delivery_id: 'wanted' }, 3),
      failed: run(RUNS.failed(), 4),
      otherType: run({ ...RUNS.succeeded(), type: 'assignment.restore' }, 5),
    })
  })

  const expectList = async (page: Page, names: readonly (keyof typeof ids)[]) => {
    const reads = ledgerOf()
    const expected = names.map((name) => ids[name])
    expect(idsOf((await reads.list(scope, page)).runs)).toEqual(expected)
    expect(idsOf((await reads.acrossTenants.list('filtered', page)).runs)).toEqual(expected)
    expect((await reads.list({ workspaceId: 'filtered' }, page)).runs).toEqual([])
  }

  test.each<[Page, (keyof typeof ids)[]]>([
    [{}, ['otherType', 'failed', 'succeeded', 'running', 'queued']],
    [{ type: 'assignment.fetch' }, ['failed', 'succeeded', 'running', 'queued']],
    [{ type: 'assignment' }, []],
    [{ status: 'completed' }, ['otherType', 'failed', 'succeeded']],
    [{ status: 'queued' }, ['queued']],
    [{ outcome: 'succeeded' }, ['otherType', 'succeeded']],
    [{ outcome: 'pending' }, ['running', 'queued']],
    [{ reasonCode: 'network.timeout' }, ['failed']],
    [{ deliveryId: 'wanted' }, ['succeeded', 'running']],
    [{ createdAfter: minute(2) }, ['otherType', 'failed', 'succeeded']],
    [{ createdBefore: minute(2) }, ['queued']],
    [{ createdAfter: minute(1), createdBefore: minute(3) }, ['running']],
    [
      { type: 'assignment.fetch', status: 'completed', outcome: 'succeeded', deliveryId: 'wanted' },
      ['succeeded'],
    ],
    [{ type: undefined, status: undefined }, ['otherType', 'failed', 'succeeded', 'running', 'queued']],
    [{ limit: 2 }, ['otherType', 'failed']],
  ])('%j', async (page, names) => {
    await expectList(page, names)
  })

  test('open runs are those that have not ended, by type when asked, newest first', async () => {
    const reads = ledgerOf()
    expect(idsOf(await reads.openRuns(scope))).toEqual([ids.running, ids.queued])
    expect(idsOf(await reads.openRuns(scope, { limit: 1 }))).toEqual([ids.running])
    expect(await reads.openRuns(scope, { type: 'assignment.restore' })).toEqual([])
  })

  test('a run is shown with everything that is known of it', async () => {
    expect(await ledgerOf().get(scope, ids.failed)).toMatchObject({
      id: ids.failed,
      scope,
      type: 'assignment.fetch',
      status: 'completed',
      outcome: 'failed',
      attempt: 1,
      fence: 1,
      delivery: { id: 'd1', attempt: 1, maxAttempts: 3 },
      counts: { total: 3, processed: 2, failed: 1 },
      itemFailures: {},
      progress: null,
      reasonCode: 'network.timeout',
      message: 'It took too long.',
      context: null,
      pastAttempts: [],
      canonicalRunId: null,
      createdAt: minute(4),
      startedAt: minute(0),
      completedAt: minute(0),
    })
    expect(await ledgerOf().get(scope, ids.queued)).toMatchObject({
      counts: null,
      delivery: null,
      fence: null,
    })
  })
})

describe('a filter that cannot be', () => {
  const scope = { workspaceId: 'filtered', tenantId: 't1' }
  const readers = (page: never) => {
    const { list, openRuns, acrossTenants } = ledgerOf()
    return {
      list: [() => list(scope, page), () => acrossTenants.list('filtered', page)],
      openRuns: [() => openRuns(scope, page), () => acrossTenants.openRuns('filtered', page)],
    }
  }

  test.each<[object, string]>([
    [{ tpye: 'a.b' }, 'tpye is not an option of list; did you mean type?'],
    [{ limt: 5 }, 'limt is not an option of list; did you mean limit?'],
    [{ createdafter: new Date() }, 'createdafter is not an option of list; did you mean createdAfter?'],
    [
      { tenantId: 't2' },
      'tenantId is not an option of list; allowed: type, status, outcome, reasonCode, deliveryId, createdAfter, createdBefore, limit, cursor',
    ],
    [{ type: '' }, 'type is ""; allowed: text of 1 to 255 characters without NUL or lone surrogates'],
    [{ type: null }, 'type is null; allowed: text'],
    [{ type: 5 }, 'type is 5; allowed: text'],
    [{ type: 'a\u0000b' }, 'type is '],
    [{ reasonCode: ['a'] }, 'reasonCode is a; allowed: text'],
    [{ deliveryId: 7 }, 'deliveryId is 7; allowed: text'],
    [{ status: 'done' }, 'status is "done"; allowed: queued, running, retrying, completed'],
    [{ status: 'toString' }, 'status is "toString"; allowed: queued'],
    [
      { outcome: 'faild' },
      'outcome is "faild"; allowed: pending, succeeded, partially_succeeded, failed, skipped, cancelled',
    ],
    [{ outcome: ['failed'] }, 'outcome is failed; allowed: pending'],
    [
      { createdAfter: '2020-01-01' },
      'createdAfter is "2020-01-01"; allowed: a valid Date, in the years 1 to 9999',
    ],
    [{ createdBefore: new Date(Number.NaN) }, 'createdBefore is Invalid Date; allowed: a valid Date'],
    [{ createdBefore: 1_700_000_000_000 }, 'createdBefore is '],
    [{ createdAfter: new Date(-8.64e15) }, 'createdAfter is '],
    [{ createdAfter: new Date(8.64e15) }, 'createdAfter is '],
    [{ cursor: null }, 'cursor is null; allowed: the `nextCursor` of a page'],
    [{ limit: null }, 'limit is null; allowed: a whole number from 1 to 500'],
  ])('%j is named, with what is allowed', async (page, message) => {
    for (const read of readers(page as never).list) {
      const error = await read().then(
        () => null,
        (thrown: Error) => thrown,
      )
      expect(error).toBeInstanceOf(InvalidOptionError)
      expect(error?.message.startsWith(message), error?.message).toBe(true)
    }
  })

  test.each<[object, RegExp]>([
    [{ status: 'queued' }, /^status is not an option of openRuns; allowed: type, limit$/],
    [{ limt: 1 }, /^limt is not an option of openRuns; did you mean limit\?$/],
    [{ type: 5 }, /^type is 5; allowed: text/],
  ])('of openRuns: %j as well', async (page, message) => {
    for (const read of readers(page as never).openRuns) await expect(read()).rejects.toThrow(message)
  })

  test('an object is asked for', async () => {
    for (const read of [...readers('x' as never).list, ...readers(null as never).openRuns])
      await expect(read()).rejects.toThrow(/^options of (list|openRuns) is /)
  })

  test('dates of other realms, and the first and the last that Postgres reads, are taken', async () => {
    const { list } = ledgerOf()
    const foreign = runInNewContext('new Date(0)') as Date
    const first = new Date('0001-01-01T00:00:00Z')
    const last = new Date('9999-12-31T23:59:59.999Z')
    await list(scope, { createdAfter: foreign })
    await list(scope, { createdAfter: first, createdBefore: last })
  })
})

describe('the pages of a list', () => {
  const scope = { workspaceId: 'paged', tenantId: 't1' }
  const insertMany = async (count: number, createdAt: string) =>
    (
      await database.pool().query<{ id: string }>(
        `insert into opsledger.operation_run
           (id, identity, work_key, workspace_id, tenant_id, type, status, created_at)
         select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'paged', 't1', 'a.b', 'queued', ${createdAt}
         from generate_series(1, $1::integer) as n returning id`,
        [count],
      )
    ).rows.map((row) => row.id)

  let expected: string[]
  beforeAll(async () => {
    // Many of one instant, many that differ by microseconds only.
    await insertMany(600, `timestamptz '2026-01-01 00:00:00.123456Z' + (n % 4) * interval '1 hour'`)
    await insertMany(400, `timestamptz '2026-01-01 12:00:00.000001Z' + (n % 9) * interval '1 microsecond'`)
    const { rows } = await database.pool().query<{ id: string }>(
      `select id from opsledger.operation_run where workspace_id = 'paged'
       order by created_at desc, id desc`,
    )
    expected = rows.map((row) => row.id)
  })

  const readAll = async (
    page: Page,
    between: (cursor: string) => Promise<unknown> = async () => {},
    read: (page: Page) => Promise<{ runs: readonly Run[]; nextCursor: string | null }> = (next) =>
      ledgerOf().list(scope, next),
  ) => {
    const pages: string[][] = []
    let cursor: string | undefined
    do {
      const { runs, nextCursor }: { runs: readonly Run[]; nextCursor: string | null } = await read({
        ...page,
        cursor,
      })
      pages.push(idsOf(runs))
      cursor = nextCursor ?? undefined
      if (cursor !== undefined) await between(cursor)
    } while (cursor !== undefined)
    return pages
  }

  test.each([500, 250, 77, 33])('of %i show each of 1,000 runs once and in order', async (limit) => {
    const pages = await readAll({ limit })
    expect(pages.flat()).toEqual(expected)
    expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true)
    expect(pages).toHaveLength(Math.ceil(1_000 / limit))
  })

  test('across tenants, and with a filter, do as well', async () => {
    const { acrossTenants } = ledgerOf()
    const read = (page: Page) => acrossTenants.list('paged', page)
    expect((await readAll({ limit: 123 }, undefined, read)).flat()).toEqual(expected)
    expect((await readAll({ limit: 123, type: 'a.b', status: 'queued' }, undefined, read)).flat()).toEqual(
      expected,
    )
  })

  test('are 50 long unless told otherwise, and the last one says so', async () => {
    const ledger = ledgerOf()
    const { runs, nextCursor } = await ledger.list(scope)
    expect(runs).toHaveLength(50)
    expect(nextCursor).toEqual(expect.any(String))
    const exact = await ledger.list(scope, { limit: 400, createdAfter: new Date('2026-01-01T11:00:00Z') })
    expect(exact).toMatchObject({ runs: { length: 400 }, nextCursor: null })
  })

  test('repeat and skip nothing when new runs come in between them', async () => {
    const added: string[] = []
    const between = async () => {
      added.push(...(await insertMany(3, `clock_timestamp()`)))
      added.push(...(await insertMany(3, `timestamptz '2026-01-01 12:00:00.000005Z'`)))
    }
    const seen = (await readAll({ limit: 90 }, between)).flat()
    const old = seen.filter((id) => !added.includes(id))
    expect(old).toEqual(expected)
    expect(new Set(seen).size).toBe(seen.length)
    await database.pool().query('delete from opsledger.operation_run where id = any ($1)', [added])
  })

  test.each([
    '',
    'next',
    '~',
    `2026-01-01T00:00:00.000000~`,
    `2026-01-01T00:00:00.000Z~${randomUUID()}`,
    `2026-02-30T00:00:00.000000~${randomUUID()}`,
    `2026-13-01T25:00:00.000000~${randomUUID()}`,
    `'~'`,
    `2026-01-01T00:00:00.000000~${randomUUID()}x`,
  ])('the cursor %j is refused', async (cursor) => {
    await expect(ledgerOf().list(scope, { cursor })).rejects.toThrow(
      /cursor is .*; allowed: the `nextCursor` of a page/,
    )
  })

  test.each([0, -1, 501, 1.5, Number.NaN, '5' as unknown as number])(
    'a limit of %s is refused',
    async (limit) => {
      const ledger = ledgerOf()
      for (const read of [ledger.list, ledger.openRuns]) {
        await expect(read(scope, { limit })).rejects.toThrow(
          /limit is .*; allowed: a whole number from 1 to 500/,
        )
      }
    },
  )
})
