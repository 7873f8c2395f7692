import {
  ClaimLostError,
  DatabaseUnavailableError,
  type HandlerContext,
  type Ledger,
  type LedgerOptions,
  TransactionUnconfirmedError,
} from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { startProxy, waitUntilBlocked } from '@opsledger/testing'
import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import pg from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

/** Long enough that nothing happens by itself during a test. */
const LONG_LEASE_MS = 600_000

interface Host {
  effect: { work: string; note: string }
}
type Handler = (context: HandlerContext<{ work: string }>) => unknown

describe.each(['session', 'lease', 'kysely'] as const)('host writes under the fence, %s', (kind) => {
  const database = useLedgerDatabase()
  const newLedger = useLedgers(database)

  beforeAll(async () => {
    await database.pool().query('create table effect (work text primary key, note text not null)')
  })

  const ledgerOn = (url: string, options: Partial<LedgerOptions> = {}): Ledger => {
    if (kind !== 'kysely') return newLedger({ connection: url, leaseMs: LONG_LEASE_MS, ...options })
    const pool = new pg.Pool({ connectionString: url, max: 4 })
    pool.on('error', () => {})
    pool.on('connect', (client) => client.on('error', () => {}))
    const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
    const ledger = newLedger({ kysely, leaseMs: LONG_LEASE_MS, ...options })
    onTestFinished(async () => {
      await ledger.close({ withinMs: 500 })
      await pool.end()
    })
    return ledger
  }
  const workerOf = (ledger: Ledger, handler: Handler) => {
    const operation = ledger.operation({
      type: 'assignment.restore',
      guard: createGuard(ledger, { exclusion: kind === 'session' ? 'session' : 'lease' }),
      scope: (_: { work: string }) => ({ workspaceId: 'w1', tenantId: 't1' }),
      fingerprint: ({ work }) => work,
      handler,
    })
    return (work: string, id = work, attempt = 1) => operation({ work }, { id, attempt, maxAttempts: 3 })
  }
  const deliver = (handler: Handler, work: string, options: Partial<LedgerOptions> = {}) =>
    workerOf(ledgerOn(database.url, options), handler)(work)

  const write =
    (work: string, note = 'done') =>
    async (trx: Transaction<Host>) => {
      await trx.insertInto('effect').values({ work, note }).execute()
      return note
    }
  const effects = async (work: string) =>
    (await database.pool().query('select note from effect where work = $1', [work])).rows.map(
      (row) => row.note,
    )
  const runOf = async (runId: string) =>
    (await database.pool().query('select * from opsledger.operation_run where id = $1', [runId])).rows[0]
  /** What a contender does who met the retired lease: the next fence. */
  const takeAway = (runId: string) =>
    database.pool().query(
      `with c as (update opsledger.job_claim set fence = nextval('opsledger.fence') where run_id = $1 returning fence)
       update opsledger.operation_run r set fence = c.fence from c where r.id = $1`,
      [runId],
    )

  test('are committed while the claim is held, and the handler is given what they returned', async () => {
    const verdict = await deliver(({ run, payload }) => run.transaction(write(payload.work)), 'a')
    expect(verdict).toMatchObject({ executed: true, value: 'done', settlement: 'settled' })
    expect(await effects('a')).toEqual(['done'])
  })

  test('are rolled back when the claim was taken, and the writer is told', async () => {
    let thrown: unknown
    const handler: Handler = async ({ run, payload }) => {
      await run
        .transaction(async (trx: Transaction<Host>) => {
          await write(payload.work)(trx)
          await takeAway(run.id)
        })
        .catch((error) => {
          thrown = error
        })
    }
    expect(await deliver(handler, 'b')).toMatchObject({ executed: true, settlement: 'superseded' })
    expect(thrown).toBeInstanceOf(ClaimLostError)
    expect(await effects('b')).toEqual([])
  })

  test('would be committed without the look at the fence (mutant)', async () => {
    const pool = database.pool()
    const { rows } = await pool.query(`select pg_get_functiondef('opsledger.lock_claim'::regproc) as source`)
    await pool.query(
      rows[0].source.replace(/begin[\s\S]*end/, 'begin return to_jsonb(pg_current_xact_id()::text); end'),
    )
    try {
      const handler: Handler = ({ run, payload }) =>
        run.transaction(async (trx: Transaction<Host>) => {
          await write(payload.work)(trx)
          await takeAway(run.id)
        })
      expect(await deliver(handler, 'mutant')).toMatchObject({ settlement: 'superseded' })
      expect(await effects('mutant')).toEqual(['done'])
    } finally {
      await pool.query(rows[0].source)
    }
  })

  test('hold the fence from the check to the commit: whoever takes the claim waits for it', async () => {
    const pool = database.pool()
    let runId = ''
    const handler: Handler = ({ run, payload }) => {
      runId = run.id
      return run.transaction(write(payload.work))
    }
    // A deferred trigger makes the commit itself wait for the test.
    await pool.query(`
      create or replace function wait_at_commit() returns trigger language plpgsql as $$
      begin perform pg_advisory_xact_lock(78); return null; end $$;
      create constraint trigger wait_at_commit after insert on effect deferrable initially deferred
        for each row when (new.work = 'c') execute function wait_at_commit()`)
    const gate = await pool.connect()
    await gate.query('select pg_advisory_lock(78)')
    const delivery = deliver(handler, 'c')
    await waitUntilBlocked(pool, { count: 1 })
    let isStolen = false
    const theft = takeAway(runId).then(() => {
      isStolen = true
    })
    await waitUntilBlocked(pool, { count: 2 })
    expect(isStolen).toBe(false)
    await gate.query('select pg_advisory_unlock(78)')
    gate.release()
    await theft
    expect(await effects('c')).toEqual(['done'])
    expect(await delivery).toMatchObject({ executed: true })
  })

  test('that fail roll everything back, and the error comes through unchanged', async () => {
    const failure = new Error('the host changed its mind')
    const handler: Handler = ({ run, payload }) =>
      run.transaction(async (trx: Transaction<Host>) => {
        await write(payload.work)(trx)
        throw failure
      })
    await expect(deliver(handler, 'd')).rejects.toBe(failure)
    expect(await effects('d')).toEqual([])
  })

  test('are not committed once the signal has aborted, even by a handler that ignores it', async () => {
    const stop = new AbortController()
    const ledger = ledgerOn(database.url)
    const operation = ledger.operation({
      type: 'assignment.restore',
      scope: (_: { work: string }) => ({ workspaceId: 'w1', tenantId: 't1' }),
      fingerprint: ({ work }) => work,
      handler: ({ run, payload }) =>
        run.transaction(async (trx: Transaction<Host>) => {
          await write(payload.work)(trx)
          stop.abort(new Error('the queue wants it to stop'))
        }),
    })
    const delivery = { id: 'e', attempt: 1, maxAttempts: 3, signal: stop.signal }
    await expect(operation({ work: 'e' }, delivery)).rejects.toThrow('the queue wants it to stop')
    expect(await effects('e')).toEqual([])
  })

  test('see what was committed before each statement, whatever the isolation the role defaults to', async () => {
    await database
      .pool()
      .query(`alter database ${database.name} set default_transaction_isolation to serializable`)
    try {
      let level: unknown
      const handler: Handler = ({ run }) =>
        run.transaction(async (trx) => {
          const { rows } = await sql<{
            level: string
          }>`select current_setting('transaction_isolation') as level`.execute(trx)
          level = rows[0]!.level
        })
      await deliver(handler, 'f')
      expect(level).toBe('read committed')
    } finally {
      await database.pool().query(`alter database ${database.name} reset default_transaction_isolation`)
    }
  })

  describe('with the settlement in the same transaction', () => {
    const settling: Handler = async ({ run, counts, payload }) => {
      counts.itemSucceeded(3)
      return run.transaction(write(payload.work), { settles: true })
    }

    test('effects and outcome are written together, once', async () => {
      const worker = workerOf(ledgerOn(database.url), settling)
      const verdict = await worker('s1')
      expect(verdict).toMatchObject({
        executed: true,
        settlement: 'settled',
        run: { status: 'completed', outcome: 'succeeded', counts: { total: 3, processed: 3, failed: 0 } },
      })
      const run = await runOf((verdict as { run: { id: string } }).run.id)
      expect(run).toMatchObject({ status: 'completed', outcome: 'succeeded', processed: 3 })
      expect(run.completed_at).toEqual((verdict as { run: { completedAt: Date } }).run.completedAt)
      expect(await worker('s1', 's1 again')).toMatchObject({ executed: false, reason: 'cooldown' })
    })

    test('nothing of either when the claim was taken', async () => {
      let runId = ''
      const handler: Handler = ({ run, payload }) => {
        runId = run.id
        return run.transaction(
          async (trx: Transaction<Host>) => {
            await write(payload.work)(trx)
            await takeAway(run.id)
          },
          { settles: true },
        )
      }
      await expect(deliver(handler, 's2')).rejects.toBeInstanceOf(ClaimLostError)
      expect(await effects('s2')).toEqual([])
      expect(await runOf(runId)).toMatchObject({ status: 'running', outcome: 'pending' })
    })

    test('afterwards this attempt can neither write nor count', async () => {
      const thrown: unknown[] = []
      const handler: Handler = async (context) => {
        await settling(context)
        await context.run.transaction(write('s3 late')).catch((error) => thrown.push(error))
        try {
          context.counts.itemSucceeded()
        } catch (error) {
          thrown.push(error)
        }
      }
      expect(await deliver(handler, 's3')).toMatchObject({
        settlement: 'settled',
        run: { outcome: 'succeeded' },
      })
      expect(thrown).toMatchObject([{ code: 'claim_lost' }, { code: 'impossible_count' }])
      expect(await effects('s3 late')).toEqual([])
    })

    test('what the handler throws afterwards is thrown, and the run stays as it was settled', async () => {
      const late = new Error('after the fact')
      let runId = ''
      const worker = workerOf(ledgerOn(database.url), async (context) => {
        runId = context.run.id
        await settling(context)
        throw late
      })
      await expect(worker('s4')).rejects.toBe(late)
      expect(await runOf(runId)).toMatchObject({ status: 'completed', outcome: 'succeeded' })
      expect(await worker('s4', 's4', 2)).toMatchObject({
        executed: false,
        reason: 'already_terminal',
        action: 'discard',
      })
    })

    test('a work that failed before its commit is settled as any other failure', async () => {
      const worker = workerOf(ledgerOn(database.url), ({ run }) =>
        run.transaction(
          async () => {
            throw new Error('no')
          },
          { settles: true },
        ),
      )
      await expect(worker('s5')).rejects.toThrow('no')
      await expect(worker('s5', 's5', 2)).rejects.toThrow('no')
    })
  })

  describe('when the connection is lost', () => {
    const behindProxy = async (handler: Handler, options: Partial<LedgerOptions> = {}) => {
      const proxy = await startProxy(database.url)
      const ledger = ledgerOn(proxy.url, options)
      onTestFinished(async () => {
        proxy.onClientData(null)
        await ledger.close({ withinMs: 500 })
        await proxy.stop()
      })
      return { proxy, deliver: workerOf(ledger, handler) }
    }
    const isCommit = (text: string) => text === 'commit'

    test.each([false, true])(
      'with the reply of the commit, the answer is learned (settles: %s)',
      async (settles) => {
        const work = `lost ${settles}`
        const { proxy, deliver } = await behindProxy(({ run, payload }) => {
          // On the library's own connections only this commits by itself; through Kysely every call does.
          return run.transaction(
            async (trx: Transaction<Host>) => {
              const note = await write(payload.work)(trx)
              proxy.loseReplyOf(isCommit)
              return note
            },
            { settles },
          )
        })
        expect(await deliver(work)).toMatchObject({
          executed: true,
          value: 'done',
          run: { outcome: 'succeeded' },
        })
        expect(await effects(work)).toEqual(['done'])
      },
    )

    test('before the commit, nothing was written and the caller is told', async () => {
      const { proxy, deliver } = await behindProxy(({ run, payload }) =>
        run.transaction(async (trx: Transaction<Host>) => {
          await write(payload.work)(trx)
          proxy.cut()
        }),
      )
      await expect(deliver('cut')).rejects.toThrow()
      expect(await effects('cut')).toEqual([])
    })

    test('for good, the caller is told that nobody knows', async () => {
      let thrown: unknown
      const { proxy, deliver } = await behindProxy(
        async ({ run, payload }) => {
          await run
            .transaction(async (trx: Transaction<Host>) => {
              await write(payload.work)(trx)
              proxy.loseReplyOf(isCommit).done.then(() => {
                proxy.onClientData(() => 'cut')
                proxy.cut()
              })
            })
            .catch((error) => {
              thrown = error
            })
        },
        { settlementTimeoutMs: 300 },
      )
      expect(await deliver('unknown')).toMatchObject({ settlement: 'unconfirmed' })
      expect(thrown).toBeInstanceOf(TransactionUnconfirmedError)
      expect(thrown).not.toBeInstanceOf(DatabaseUnavailableError)
    })
  })

  test('refuses what is no function, and options it does not know', async () => {
    const handler: Handler = async ({ run }) => {
      // @ts-expect-error a function is needed
      await expect(run.transaction('insert')).rejects.toMatchObject({
        code: 'invalid_option',
        option: 'work',
      })
      // @ts-expect-error misspelt
      await expect(run.transaction(async () => {}, { settle: true })).rejects.toMatchObject({
        code: 'invalid_option',
      })
    }
    expect(await deliver(handler, 'bad')).toMatchObject({ executed: true })
  })
})
