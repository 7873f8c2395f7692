import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  createLedger,
  type HandlerContext,
  type LedgerEventName,
  type LedgerEvents,
  type LedgerOptions,
} from '@opsledger/core'
import { runtimeOf } from '@opsledger/core/guard'
import { createGuard, type ExclusionMode } from '@opsledger/dedupe'
import { eventually } from '@opsledger/testing'
import type { TestDatabase } from '@opsledger/testing/vitest'
import type pg from 'pg'
import { expect, onTestFinished } from 'vitest'

export interface Payload {
  readonly work: string
  readonly runId?: string
}
type RacingHandler = (context: HandlerContext<Payload>) => unknown

export interface RacingWorkerOptions extends Partial<LedgerOptions> {
  readonly exclusion?: ExclusionMode
  /** @default true; without a guard the operation only records */
  readonly isGuarded?: boolean
  /** @default the guard's */
  readonly cooldownMs?: number
}

const TYPE = 'assignment.fetch'
const scope = (_: Payload) => ({ workspaceId: 'w1', tenantId: 't1' })
const fingerprint = ({ work }: Payload) => work

/** A worker as another process has it. Its lease is long: what happens to it is what the test does. */
export function racingWorker(
  database: TestDatabase,
  handler: RacingHandler = () => {},
  { exclusion = 'session', isGuarded = true, cooldownMs, ...options }: RacingWorkerOptions = {},
) {
  const ledger = createLedger({ connection: database.url, leaseMs: 600_000, ...options })
  onTestFinished(() => ledger.close({ withinMs: 500 }))
  const guard = createGuard(ledger, { exclusion })
  const operation = ledger.operation({
    type: TYPE,
    ...(isGuarded ? { guard, cooldownMs } : {}),
    scope,
    runId: ({ runId }) => runId,
    fingerprint,
    handler,
  })
  const delivery = (id: string, attempt: number, maxAttempts: number) => ({ id, attempt, maxAttempts })
  return {
    ledger,
    guard,
    identify: (payload: Payload) => operation.identify(payload),
    open: (payload: Payload) => operation.open(payload),
    deliver: (payload: Payload, id: string, attempt = 1, maxAttempts = 3) =>
      operation(payload, delivery(id, attempt, maxAttempts)),
    conclude: (payload: Payload, id: string, attempt = 1, maxAttempts = 3) =>
      operation.conclude(payload, delivery(id, attempt, maxAttempts)),
    /** The same work without a record of it. */
    protect: (protectedHandler: () => unknown = () => 'done') =>
      guard.protect({ type: TYPE, scope, fingerprint, cooldownMs: 0, handler: protectedHandler }),
    /** Called with each call to the database on the worker's own connections; its answer waits for what it returns. */
    onAnswer(look: (name: string) => unknown) {
      const { executor } = runtimeOf(ledger)
      const { call } = executor
      executor.call = async (name, args, timeoutMs) => {
        const answer = await call(name, args, timeoutMs)
        await look(name)
        return answer
      }
    },
  }
}

/** A handler that has begun stays until it is told to end. */
export function createLatch() {
  const entered = Promise.withResolvers<void>()
  const end = Promise.withResolvers<void>()
  onTestFinished(() => end.resolve())
  return {
    entered: entered.promise,
    end: end.resolve,
    hold: (): Promise<void> => {
      entered.resolve()
      return end.promise
    },
  }
}

export function listen<N extends LedgerEventName>(name: N): LedgerEvents[N][] {
  const messages: LedgerEvents[N][] = []
  const listener = (message: unknown) => {
    messages.push(message as LedgerEvents[N])
  }
  subscribe(name, listener)
  onTestFinished(() => {
    unsubscribe(name, listener)
  })
  return messages
}

/** A session of somebody else, which ends with the test. */
export async function foreignSession(database: TestDatabase): Promise<pg.PoolClient> {
  const client = await database.pool().connect()
  onTestFinished(() => client.release(true))
  return client
}

export async function claimOf(database: TestDatabase, identity: string) {
  const { rows } = await database.pool().query(
    `select c.state, c.fence::integer, c.run_id, r.status, r.outcome, r.attempt, r.reason_code
     from opsledger.job_claim c left join opsledger.operation_run r on r.id = c.run_id where c.identity = $1`,
    [identity],
  )
  return rows[0]
}

/** How many sessions have the lock of this identity. */
export async function lockCount(database: TestDatabase, identity: string): Promise<number> {
  const { rows } = await database.pool().query(
    `select count(*)::integer as count from pg_locks where locktype = 'advisory' and granted
       and database = (select oid from pg_database where datname = current_database())
       and (classid::bigint << 32) | objid::bigint = opsledger.lock_key($1)`,
    [identity],
  )
  return rows[0].count
}

/** Terminates every lock session of this database, and waits until the locks are gone with them. */
export async function terminateLockSessions(database: TestDatabase): Promise<void> {
  await database.pool().query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
     where application_name = 'opsledger locks' and datname = current_database()`,
  )
}

/** A gate that a commit waits at: that of a transaction which wrote into `gated`. */
export async function gateCommits(database: TestDatabase) {
  const pool = database.pool()
  await pool.query(`
    create table if not exists gated (work text);
    create or replace function wait_at_commit() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock(78); return null; end $$;
    drop trigger if exists wait_at_commit on gated;
    create constraint trigger wait_at_commit after insert on gated deferrable initially deferred
      for each row execute function wait_at_commit()`)
  const keeper = await foreignSession(database)
  await keeper.query('select pg_advisory_lock(78)')
  return {
    /** Resolves when a commit waits. */
    reached: () =>
      eventually(async () => {
        const { rows } = await pool.query(
          `select from pg_locks where locktype = 'advisory' and not granted and objid = 78
             and database = (select oid from pg_database where datname = current_database())`,
        )
        expect(rows).toHaveLength(1)
      }),
    open: () => keeper.query('select pg_advisory_unlock(78)'),
  }
}
