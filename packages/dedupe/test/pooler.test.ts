import { hostname } from 'node:os'
import { createLedger } from '@opsledger/core'
import { createGuard, type ExclusionMode, TransactionPoolerError } from '@opsledger/dedupe'
import { eventually, findPgBouncer, type PgBouncerSettings, startPgBouncer } from '@opsledger/testing'
import { serverChecksPasswords } from '@opsledger/testing/vitest'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { answersOf, complaintsAbout, executionsOf, overlapsIn } from './concurrency/judge.ts'
import { stress } from './concurrency/stress.ts'
import { useLedgerDatabase } from './support/ledger.ts'

const isInstalled = findPgBouncer() !== null
if (!isInstalled) {
  console.info('PgBouncer is not installed (nor named by OPSLEDGER_PGBOUNCER): the pooler tests are skipped')
}

// A refusal must not tell the password: there has to be one.
describe.skipIf(!isInstalled || !serverChecksPasswords())('behind PgBouncer', () => {
  const database = useLedgerDatabase()

  /** The database by way of a PgBouncer of this test's own. */
  const pooledBy = async (settings: PgBouncerSettings): Promise<string> => {
    const pooler = await startPgBouncer(database.url, settings)
    onTestFinished(() => pooler.stop())
    return pooler.url
  }

  const startWorker = (url: string, exclusion: ExclusionMode, connections?: number) => {
    const ledger = createLedger({ connection: url, connections, admissionTimeoutMs: 5_000 })
    onTestFinished(() => ledger.close({ withinMs: 500 }))
    let executions = 0
    const operation = ledger.operation({
      type: 'assignment.fetch',
      guard: createGuard(ledger, { exclusion }),
      scope: (_: { work: string }) => ({ workspaceId: 'w1', tenantId: 't1' }),
      fingerprint: ({ work }) => work,
      handler: async () => {
        executions++
        return advisoryLocks()
      },
    })
    return {
      deliver: (work: string) => operation({ work }, { id: work, attempt: 1, maxAttempts: 3 }),
      executions: () => executions,
    }
  }

  const advisoryLocks = async () => {
    const { rows } = await database.pool().query<{ locks: number }>(
      `select count(*)::int as locks from pg_locks where locktype = 'advisory'
       and database = (select oid from pg_database where datname = current_database())`,
    )
    return rows[0]!.locks
  }

  /** As many server connections as a pool has after some work. */
  const warmUp = (url: string, connections: number) =>
    Promise.all(Array.from({ length: connections }, () => query(url, 'select pg_sleep(0.1)')))

  describe('that pools transactions', () => {
    const pools: { pool: string; servers: number; settings: PgBouncerSettings }[] = [
      { pool: 'as it comes', servers: 1, settings: { pool_mode: 'transaction' } },
      { pool: 'with idle servers', servers: 4, settings: { pool_mode: 'transaction' } },
      { pool: 'of two in turn', servers: 2, settings: { pool_mode: 'transaction', server_round_robin: 1 } },
      { pool: 'of three in turn', servers: 3, settings: { pool_mode: 'transaction', server_round_robin: 1 } },
      { pool: 'of six in turn', servers: 6, settings: { pool_mode: 'transaction', server_round_robin: 1 } },
      { pool: 'of one', servers: 1, settings: { pool_mode: 'transaction', default_pool_size: 1 } },
      { pool: 'of statements', servers: 2, settings: { pool_mode: 'statement' } },
    ]
    test.each(pools)(
      'session exclusion refuses it, and says what to do (a pool $pool)',
      async ({ settings, servers }) => {
        const url = await pooledBy(settings)
        await warmUp(url, servers)
        const { deliver, executions } = startWorker(url, 'session')
        const error = await deliver(`refused ${url}`).catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(TransactionPoolerError)
        expect((error as Error).message).toMatch(/direct connection.*exclusion: 'lease'/)
        expect((error as Error).message).not.toContain(new URL(url).password)
        expect(executions()).toBe(0)
        // Nothing of the attempt stays with a server that others use.
        expect(await advisoryLocks()).toBe(0)
      },
    )

    test('1,000 contended deliveries by lease: none overlaps, each ends', async () => {
      const url = await pooledBy({
        pool_mode: 'transaction',
        default_pool_size: 6,
        max_client_conn: 100,
      })
      const { marks, killedAt, jobs } = await stress({
        name: 'pooled',
        url,
        modes: ['lease', 'lease', 'lease', 'lease'],
        seed: 11,
        works: 80,
        deliveries: 1_000,
        cooldownMs: 600_000,
      })
      expect(overlapsIn(executionsOf(marks), killedAt).slice(0, 5)).toEqual([])
      expect(complaintsAbout(marks, killedAt, hostname()).slice(0, 5)).toEqual([])
      const answered = new Set(answersOf(marks).map((mark) => mark.deliveryId))
      expect(answered.size).toBe(jobs.length)
      const { rows } = await database.pool().query(`select from opsledger.job_claim where state = 'held'`)
      expect(rows).toEqual([])
    })
  })

  describe('that pools sessions', () => {
    test('session exclusion is as good as without it: the lock is held while the handler runs', async () => {
      const url = await pooledBy({ pool_mode: 'session' })
      await warmUp(url, 3)
      const { deliver } = startWorker(url, 'session')
      expect(await deliver('pooled session')).toMatchObject({
        executed: true,
        value: 1,
        settlement: 'settled',
      })
      await eventually(async () => expect(await advisoryLocks()).toBe(0))
    })

    test('also where the pool has no server to spare for the check', async () => {
      const url = await pooledBy({ pool_mode: 'session', default_pool_size: 2 })
      const { deliver } = startWorker(url, 'session', 1)
      expect(await deliver('tight pool')).toMatchObject({ executed: true, value: 1, settlement: 'settled' })
    })
  })
})

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
