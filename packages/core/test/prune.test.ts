import { randomUUID } from 'node:crypto'
import { InvalidOptionError, type PruneOptions } from '@opsledger/core'
import { countStatements } from '@opsledger/testing'
import { Kysely, PostgresDialect } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { useCoreDatabase, useLedgers } from './support/ledger.ts'
import { insertRow, RUNS } from './support/rows.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const HUNDRED_YEARS_MS = 36_500 * DAY_MS
/** As many blocks as one batch visits. */
const BATCH_BLOCKS = 256

describe('a history of several hundred blocks', () => {
  const database = useCoreDatabase()
  const ledgerOf = useLedgers(database)
  const pool = () => database.pool()

  /** Rows of about a quarter of a block; one in ten is open. The older half completed two days ago. */
  const fill = async (count: number) => {
    await pool().query('truncate opsledger.operation_run')
    await pool().query(
      `insert into opsledger.operation_run
         (id, identity, work_key, workspace_id, type, status, outcome, created_at, started_at, completed_at, attempt,
          fence, worker_id, delivery_id, delivery_attempt, delivery_maximum, total, processed, failed, context)
       select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'w1', 'a.b',
         (case when n % 10 = 0 then 'running' else 'completed' end)::opsledger.run_status,
         (case when n % 10 = 0 then 'pending' else 'succeeded' end)::opsledger.run_outcome,
         clock_timestamp() - interval '9 days', clock_timestamp() - interval '9 days',
         case when n % 10 <> 0 then clock_timestamp() - case when n % 2 = 1 then 2 else 0.5 end * interval '1 day' end,
         1, n, gen_random_uuid(), 'd' || n, 1, 1, 0, 0, 0,
         to_jsonb((select string_agg(md5(n::text || i), '') from generate_series(1, 55) as i))
       from generate_series(1, $1::integer) as n`,
      [count],
    )
    const { rows } = await pool().query(
      `select (pg_relation_size('opsledger.operation_run') / 8192)::integer as blocks`,
    )
    return rows[0].blocks as number
  }
  const counts = async () =>
    (
      await pool().query(
        `select count(*) filter (where completed_at is null)::int as open,
           count(*) filter (where completed_at < clock_timestamp() - interval '1 day')::int as old,
           count(*) filter (where completed_at >= clock_timestamp() - interval '1 day')::int as young
         from opsledger.operation_run`,
      )
    ).rows[0]

  test('is pruned by age of completion, in bounded batches, and no open run goes, however old', async () => {
    const blocks = await fill(3_000)
    expect(blocks).toBeGreaterThan(2 * BATCH_BLOCKS)
    expect(await counts()).toEqual({ open: 300, old: 1_500, young: 1_200 })
    const { statements } = await countStatements(database.url, async (connection) => {
      const ledger = ledgerOf({ connection })
      expect(await ledger.prune({ runsOlderThanMs: DAY_MS })).toEqual({ runs: 1_500, claims: 0, leases: 0 })
      await ledger.close()
    })
    expect(statements.filter((text) => text.includes('"prune_runs"'))).toHaveLength(
      Math.ceil(blocks / BATCH_BLOCKS),
    )
    expect(statements.filter((text) => /begin/.test(text))).toEqual([])
    expect(await counts()).toEqual({ open: 300, old: 0, young: 1_200 })
  })

  test('stops between two batches when the signal says so, and what was pruned stays pruned', async () => {
    const blocks = await fill(3_000)
    const controller = new AbortController()
    const calls: unknown[][] = []
    const kysely = new Kysely<unknown>({
      dialect: new PostgresDialect({ pool: pool() }),
      log: ({ query }) => {
        if (!query.sql.includes('"prune_runs"')) return
        calls.push([...query.parameters])
        controller.abort()
      },
    })
    const report = await ledgerOf({ kysely }).prune({ runsOlderThanMs: DAY_MS, signal: controller.signal })
    expect(calls).toEqual([[0, BATCH_BLOCKS, DAY_MS]])
    expect(report.runs).toBeGreaterThan(0)
    expect(report).toEqual({ runs: report.runs, claims: 0, leases: 0 })
    expect(await counts()).toEqual({ open: 300, old: 1_500 - report.runs, young: 1_200 })

    const rest = await ledgerOf().prune({ runsOlderThanMs: DAY_MS })
    expect(report.runs + rest.runs).toBe(1_500)
    expect(blocks).toBeGreaterThan(BATCH_BLOCKS)
  })

  test('is left alone under a signal that was aborted before', async () => {
    await fill(10)
    const report = await ledgerOf().prune({ runsOlderThanMs: 0, signal: AbortSignal.abort() })
    expect(report).toEqual({ runs: 0, claims: 0, leases: 0 })
  })

  test('leaves a row that somebody is at for the next time, and waits for nobody', async () => {
    await fill(20)
    const client = await pool().connect()
    onTestFinished(() => client.release())
    await client.query('begin')
    await client.query(`select from opsledger.operation_run where delivery_id = 'd1' for update`)
    expect(await ledgerOf().prune({ runsOlderThanMs: DAY_MS })).toMatchObject({ runs: 9 })
    await client.query('rollback')
    expect(await ledgerOf().prune({ runsOlderThanMs: DAY_MS })).toMatchObject({ runs: 1 })
  })

  test('an age of 0 prunes every completed run', async () => {
    await fill(20)
    expect(await ledgerOf().prune({ runsOlderThanMs: 0 })).toMatchObject({ runs: 18 })
    expect(await counts()).toEqual({ open: 2, old: 0, young: 0 })
  })

  test('in two prunes at once is pruned once', async () => {
    await fill(1_000)
    const reports = await Promise.all([
      ledgerOf().prune({ runsOlderThanMs: DAY_MS }),
      ledgerOf().prune({ runsOlderThanMs: DAY_MS }),
    ])
    expect(reports.reduce((sum, { runs }) => sum + runs, 0)).toBe(500)
    expect(await counts()).toMatchObject({ open: 100, old: 0 })
  })
})

describe('a lease', () => {
  const database = useCoreDatabase()
  const ledgerOf = useLedgers(database)
  const insertLease = async (retiredMsAgo: number | null) => {
    const id = randomUUID()
    await database.pool().query(
      `insert into opsledger.worker_lease (id, host, pid, started_at, expires_at, retired_at)
       values ($1, 'h', 1, '2020-01-01', '2020-01-01', clock_timestamp() - $2::integer * interval '1 ms')`,
      [id, retiredMsAgo],
    )
    return id
  }
  const leases = async () =>
    (await database.pool().query<{ id: string }>('select id from opsledger.worker_lease')).rows.map(
      (row) => row.id,
    )

  test('goes when it was retired, or ran out unnoticed, that long ago and no open run names it', async () => {
    const old = await insertLease(DAY_MS + 60_000)
    const young = await insertLease(DAY_MS - 60_000)
    const expired = await insertLease(null)
    const named = await insertLease(DAY_MS + 60_000)
    const namedByAnEnd = await insertLease(DAY_MS + 60_000)
    await insertRow(database.pool(), 'operation_run', { ...RUNS.running(), worker_id: named })
    await insertRow(database.pool(), 'operation_run', {
      ...RUNS.succeeded(),
      worker_id: namedByAnEnd,
      completed_at: new Date().toISOString(),
    })
    const ledger = ledgerOf()
    expect(await ledger.prune({ runsOlderThanMs: DAY_MS })).toEqual({ runs: 0, claims: 0, leases: 3 })
    const left = await leases()
    expect(left.sort()).toEqual([young, named].sort())
    for (const gone of [old, expired, namedByAnEnd]) expect(left).not.toContain(gone)
  })

  test('of a retrying run stays until the run has ended', async () => {
    const named = await insertLease(DAY_MS + 60_000)
    const run = { ...RUNS.retrying(), worker_id: named }
    await insertRow(database.pool(), 'operation_run', run)
    const ledger = ledgerOf()
    await ledger.prune({ runsOlderThanMs: DAY_MS })
    expect(await leases()).toContain(named)
    await database.pool().query(
      `update opsledger.operation_run
       set status = 'completed', outcome = 'cancelled', completed_at = clock_timestamp() where id = $1`,
      [run.id],
    )
    await ledger.prune({ runsOlderThanMs: DAY_MS })
    expect(await leases()).not.toContain(named)
  })
})

describe('the options of a prune', () => {
  const database = useCoreDatabase()
  const ledgerOf = useLedgers(database)

  test.each<[string, Partial<Record<keyof PruneOptions, unknown>>]>([
    ['runsOlderThanMs', {}],
    ['runsOlderThanMs', { runsOlderThanMs: -1 }],
    ['runsOlderThanMs', { runsOlderThanMs: 1.5 }],
    ['runsOlderThanMs', { runsOlderThanMs: Number.POSITIVE_INFINITY }],
    ['runsOlderThanMs', { runsOlderThanMs: '1' }],
    ['runsOlderThanMs', { runsOlderThanMs: HUNDRED_YEARS_MS + 1 }],
    ['claimsOlderThanMs', { runsOlderThanMs: 1, claimsOlderThanMs: 59_999 }],
    ['claimsOlderThanMs', { runsOlderThanMs: 1, claimsOlderThanMs: Number.NaN }],
  ])('%s is refused in %j, and nothing is pruned', async (option, options) => {
    await insertRow(database.pool(), 'operation_run', RUNS.succeeded())
    const pruned = ledgerOf().prune(options as unknown as PruneOptions)
    await expect(pruned).rejects.toThrow(InvalidOptionError)
    await expect(pruned).rejects.toThrow(
      new RegExp(`^${option} is .*; allowed: a whole number of milliseconds`),
    )
    const { rows } = await database
      .pool()
      .query('select count(*)::int > 0 as some from opsledger.operation_run')
    expect(rows).toEqual([{ some: true }])
  })

  test('the longest age that can be said prunes nothing, and fails not', async () => {
    expect(await ledgerOf().prune({ runsOlderThanMs: HUNDRED_YEARS_MS })).toEqual({
      runs: 0,
      claims: 0,
      leases: 0,
    })
  })
})
