import { randomUUID } from 'node:crypto'
import { jobIdentity } from '@opsledger/core'
import { toSettlement } from '@opsledger/core/guard'
import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import { admitFunction } from '../src/sql/admit.ts'
import { admitUnopposedFunction } from '../src/sql/admit-unopposed.ts'
import { wayToSettle } from '../src/way-to-settle.ts'
import { type Ask, loneWay, longWay, shortWay, type Told, type Way } from '../src/ways-to-admit.ts'
import { replacing } from './concurrency/broken-sql.ts'
import { useLedgerDatabase } from './support/ledger.ts'
import { SUCCEEDED } from './support/settlements.ts'

/**
 * Plans are made once and kept, at the first call, which is when the tables are empty; no statistics come to help. What
 * each delivery reads must not grow with them all the same.
 */
const database = useLedgerDatabase()

const OPEN_RUNS = 3_000
/** Rows: a claim, a run, a lease and their like, a few times over. */
const FEW = 30

describe.each([
  { name: 'admit_unopposed', way: shortWay },
  { name: 'admit_one', way: loneWay },
  { name: 'admit', way: longWay },
])('$name, planned on empty tables', ({ way }) => {
  it('reads a handful of rows for each delivery, and so does its settlement', async () => {
    const { admission, settlement } = await rowsReadBeside(OPEN_RUNS, way)
    expect(admission).toBeLessThan(FEW)
    expect(settlement).toBeLessThan(FEW)
  })
})

// What looks for a single work has nothing to join it with.
describe.each([
  { name: 'admit_unopposed', way: shortWay, file: admitUnopposedFunction },
  { name: 'admit', way: longWay, file: admitFunction },
])('$name (mutant)', ({ way, file }) => {
  it('would read all rows if its looks were joined', async () => {
    const sound = file('opsledger', 'opsledger')
    await database.pool().query(replacing(sound, [' offset 0', '']))
    try {
      const { admission } = await rowsReadBeside(OPEN_RUNS, way)
      expect(admission).toBeGreaterThan(OPEN_RUNS / 2)
    } finally {
      await database.pool().query(replacing(sound))
    }
  })
})

/** Rows that the last deliveries of so many read, on a connection that planned with the first. */
async function rowsReadBeside(openRuns: number, way: Way) {
  const client = await database.pool().connect()
  try {
    await client.query('truncate opsledger.job_claim, opsledger.operation_run, opsledger.worker_lease')
    for (const table of ['job_claim', 'operation_run', 'worker_lease']) {
      await client.query(`alter table opsledger.${table} set (autovacuum_enabled = off)`)
    }
    const termId = randomUUID()
    await client.query('select opsledger.register_term($1, $2, 1, 600000)', [termId, 'h'])
    const few = (what: string) => (way === loneWay ? [what] : [what, `${what} too`])
    await settle(client, await admit(client, way, termId, few('first')))
    for (let from = 0; from < openRuns; from += 500) {
      const works = Array.from({ length: 500 }, (_, n) => `open ${from + n}`)
      await admit(client, way, termId, works)
    }
    let claims: Told[] = []
    const admission = await rowsReadBy(client, async () => {
      claims = await admit(client, way, termId, few('last'))
    })
    const settlement = await rowsReadBy(client, () => settle(client, claims))
    return { admission, settlement }
  } finally {
    client.release(true)
  }
}

async function admit(client: pg.ClientBase, way: Way, termId: string, works: readonly string[]) {
  const asks = works.map((work): Ask => {
    const scope = { workspaceId: 'w', tenantId: 't' }
    const job = jobIdentity({ scope, type: 'assignment.fetch', fingerprint: work })
    const delivery = { id: `delivery of ${work}`, attempt: 1, maxAttempts: 3 }
    const request = { job, newRunId: randomUUID(), delivery, context: null, recordsRun: true }
    return { request, liveFences: [], orphanFence: null }
  })
  const answers: Told[] = []
  for (const batch of way === loneWay ? asks.map((ask) => [ask]) : [asks]) {
    const { name, args, letsGo, answersFrom } = way(batch)
    const parameters = [...args, termId, false, ...(letsGo ? ['{}'] : [])]
    const marks = parameters.map((_, index) => `$${index + 1}`)
    const text = `select opsledger.${name}(${marks})::text as answer`
    const { rows } = await client.query({ name, text, values: parameters })
    answers.push(...(answersFrom(JSON.parse(rows[0].answer)) as Told[]))
  }
  expect(answers.every(({ verdict }) => verdict === 'admitted')).toBe(true)
  return answers
}

async function settle(client: pg.ClientBase, claims: readonly Told[]) {
  const settlements = claims.map((claim, n) => {
    if (claim.verdict !== 'admitted') throw new Error('It was refused')
    return { ...toSettlement({ claim: claim as never, settlement: SUCCEEDED, cooldownMs: 900_000 }, n) }
  })
  const { name, args } = wayToSettle(settlements)
  const marks = args.map((_, index) => `$${index + 1}`)
  const text = `select opsledger.${name}(${marks})::text as answer`
  const { rows } = await client.query({ name, text, values: args })
  expect(JSON.parse(rows[0].answer)[0].answer).toBe('settled')
}

/** Of the ledger's tables, as the server counts them inside a transaction. */
async function rowsReadBy(client: pg.ClientBase, work: () => Promise<unknown>): Promise<number> {
  const read = async () => {
    const { rows } = await client.query<{ n: string }>(
      `select sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) as n from pg_stat_xact_user_tables
       where schemaname = 'opsledger'`,
    )
    return Number(rows[0]!.n)
  }
  await client.query('begin')
  const before = await read()
  await work()
  const after = await read()
  await client.query('commit')
  return after - before
}
