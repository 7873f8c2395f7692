import type { Socket } from 'node:net'
import { LedgerClosedError } from '@opsledger/core'
import {
  arrayLiteral,
  bounded,
  type ConnectionSettings,
  callText,
  connectionProblem,
  describeSettings,
  isConnectionError,
  OWN_SETTINGS,
  parseAnswer,
  pause,
  publish,
  rightsProblem,
} from '@opsledger/core/guard'
import pg from 'pg'
import { isTransactionPooled } from './detect-pooler.ts'
import { TransactionPoolerError } from './errors.ts'

/** Locks asked back per statement: one that finds no room must not take thousands with it. */
const RELOCK_BATCH = 100
/** Who holds a lock that is ours by the row is a contender passing by, or our own session that has not died yet. */
const RELOCK_EVERY_MS = 250
const FIRST_RECONNECT_MS = 20
const MAX_RECONNECT_MS = 500

/**
 * The one connection whose session holds this process's advisory locks, for any number of running jobs. Admissions run
 * on it, because the lock belongs to the session that took it. When it is lost it is opened again, and asks for the
 * locks of everything that still executes; a lock that cannot be had yet is asked for again, and aborts nothing.
 */
export interface LockSession {
  /** Opens the connection, unless it is open. @throws as `call` */
  ready(): Promise<void>
  /**
   * `era` tells which locks the answer may speak of: those of statements sent before a reset are gone. With `letsGo` the
   * locks that are to be let go just now are its last argument, and it does that first.
   * @throws TransactionPoolerError, DatabaseUnavailableError, DatabaseRefusedError
   */
  call(name: string, args: readonly unknown[], letsGo?: boolean): Promise<{ answer: unknown; era: number }>
  /** The admitted claim's lock is this session's now, and is asked for again after a lost connection or a reset. */
  hold(fence: number, lockKey: string, era: number): void
  /** Lets the lock go, together with others, soon; not awaited. */
  unlock(fence: number): void
  /** After a statement failed with locks taken: lets everything go and asks again for what is held. */
  reset(): Promise<void>
  close(): Promise<void>
}

export interface LockSessionOptions {
  readonly schema: string
  readonly settings: ConnectionSettings
  readonly callTimeoutMs: number
  /** After a lost connection, when the locks were asked for again. */
  onRestored(): Promise<void>
}

export function createLockSession({
  schema,
  settings,
  callTimeoutMs,
  onRestored,
}: LockSessionOptions): LockSession {
  /** Lock keys by fence; false while the key could not be had back. */
  const held = new Map<number, { key: string; isLocked: boolean }>()
  let client: pg.Client | null = null
  let connecting: Promise<pg.Client> | null = null
  /** Grows with each reset, at the moment it is sent: the session executes statements in the order they are sent in. */
  let era = 0
  let isClosed = false
  let wasConnected = false
  let unlocking: string[] = []
  let relocking: Promise<void> = Promise.resolve()
  let relockTimer: NodeJS.Timeout | undefined
  let isReconnecting = false

  const newClient = (applicationName: string) =>
    new pg.Client({
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 5_000,
      ...settings,
      ...OWN_SETTINGS,
      application_name: applicationName,
      pipeline: true,
    } as pg.ClientConfig)

  /**
   * Every statement is bounded: behind a network that swallows packets nothing else would ever end it. One that got no
   * answer takes its connection with it, whoever asked, or the server would keep its session, and with it the locks.
   */
  const ask = async <R extends pg.QueryResultRow>(on: pg.Client, query: string | pg.QueryConfig) => {
    try {
      return await bounded(on.query<R>(query), callTimeoutMs)
    } catch (error) {
      if (isConnectionError(error)) destroy(on)
      throw error
    }
  }

  const connect = async (): Promise<pg.Client> => {
    const opened = newClient('opsledger locks')
    let isDead = false
    // Before the first query: a client without a listener takes the process down when the server closes it.
    opened.on('error', () => drop(opened))
    opened.on('end', () => {
      isDead = true
      drop(opened)
    })
    try {
      await opened.connect()
      const connectSecond = async () => {
        const second = newClient('opsledger pooler check')
        second.on('error', () => {})
        await second.connect()
        return second
      }
      if (!wasConnected && (await isTransactionPooled(opened, connectSecond))) {
        throw new TransactionPoolerError(describeSettings(settings))
      }
      await ask(opened, HARDEN_SESSION)
      // Not every server platform has these; what it lacks is no reason to do without the rest.
      for (const setting of NOTICE_VANISHED_CLIENTS) await ask(opened, `set ${setting}`).catch(() => {})
      if (isDead) throw new Error('Connection terminated unexpectedly')
      if (isClosed) throw new LedgerClosedError()
    } catch (error) {
      opened.end().catch(() => {})
      throw connectionProblem(error, settings)
    }
    client = opened
    if (wasConnected) {
      for (const lock of held.values()) lock.isLocked = false
      try {
        await relockOn(opened)
      } catch (error) {
        drop(opened)
        throw connectionProblem(error, settings)
      }
      const relocked = [...held.values()].filter((lock) => lock.isLocked).length
      publish('opsledger:lock_session.restored', { schema, held: held.size, relocked })
      onRestored().catch(() => {})
    }
    wasConnected = true
    return opened
  }

  const ready = async (): Promise<pg.Client> => {
    if (isClosed) throw new LedgerClosedError()
    if (client !== null) return client
    connecting ??= connect().finally(() => {
      connecting = null
    })
    return connecting
  }

  const drop = (lost: pg.Client) => {
    destroy(lost)
    if (client !== lost) return
    client = null
    // Gone with it: on the next connection they would be somebody else's.
    unlocking = []
    if (isClosed) return
    publish('opsledger:lock_session.lost', { schema, held: held.size })
    if (held.size > 0) reconnect()
  }

  const reconnect = async () => {
    if (isReconnecting) return
    isReconnecting = true
    for (
      let waitMs = FIRST_RECONNECT_MS;
      client === null && !isClosed;
      waitMs = Math.min(MAX_RECONNECT_MS, waitMs * 2)
    ) {
      await ready().catch(() => {})
      if (client === null) await pause(waitMs * (0.5 + Math.random() / 2))
    }
    isReconnecting = false
  }

  /** One at a time: a session that asks twice for a lock it gets would have to let go twice. */
  const relockOn = (on: pg.Client): Promise<void> => {
    relocking = relocking.catch(() => {}).then(() => relockMissing(on))
    return relocking
  }

  const relockMissing = async (on: pg.Client) => {
    const missing = [...held].filter(([, lock]) => !lock.isLocked)
    for (let from = 0; from < missing.length && on === (client ?? on); from += RELOCK_BATCH) {
      const batch = missing.slice(from, from + RELOCK_BATCH)
      const sentIn = era
      try {
        const { rows } = await ask<{ locked: boolean }>(on, {
          name: 'opsledger:relock',
          text: RELOCK,
          values: [batch.map(([, lock]) => lock.key)],
        })
        batch.forEach(([fence, lock], index) => {
          lock.isLocked = rows[index]!.locked && sentIn === era
          // Settled while it was asked for: nobody would ever let it go.
          if (lock.isLocked && held.get(fence) !== lock) letGo(lock.key)
        })
      } catch (error) {
        if (isConnectionError(error)) throw error
        // Session locks outlive the statement that failed: what it got is let go, or nobody ever would.
        await ask(on, {
          name: 'opsledger:unlock',
          text: UNLOCK,
          values: [batch.map(([, lock]) => lock.key)],
        })
      }
    }
    const isIncomplete = [...held.values()].some((lock) => !lock.isLocked)
    if (isIncomplete) {
      clearTimeout(relockTimer)
      relockTimer = setTimeout(() => {
        if (on === client) relockOn(on).catch(() => drop(on))
      }, RELOCK_EVERY_MS).unref()
    }
  }

  const letGo = (key: string) => {
    if (unlocking.length === 0) setImmediate(flushUnlocks)
    unlocking.push(key)
  }

  const flushUnlocks = async () => {
    const keys = unlocking
    unlocking = []
    const on = client
    // Without a session there is no lock.
    if (on === null || keys.length === 0) return
    try {
      await ask(on, {
        name: 'opsledger:unlock',
        text: UNLOCK,
        values: [keys],
      })
    } catch {
      drop(on)
    }
  }

  return {
    async ready() {
      await ready()
    },
    async call(name, args, letsGo = false) {
      const on = await ready()
      const sentIn = era
      // Taken where it is sent: a connection later they would be somebody else's.
      const values = letsGo ? [...args, arrayLiteral(unlocking.splice(0), (key) => key)] : [...args]
      try {
        const { rows } = await ask<{ answer: string | null }>(on, {
          name: `opsledger:${schema}.${name}`,
          text: callText(schema, name, values.length),
          values,
        })
        return { answer: parseAnswer(rows), era: sentIn }
      } catch (error) {
        if (isConnectionError(error)) drop(on)
        throw rightsProblem(error, name)
      }
    },
    hold(fence, key, heldIn) {
      // The session may have ended in the same breath that it answered in, or let everything go behind the answer.
      const on = client
      held.set(fence, { key, isLocked: on !== null && heldIn === era })
      if (on === null) reconnect()
      else if (heldIn !== era) relockOn(on).catch(() => drop(on))
    },
    unlock(fence) {
      const lock = held.get(fence)
      held.delete(fence)
      if (lock?.isLocked) letGo(lock.key)
    },
    async reset() {
      const on = await ready()
      try {
        // From here on: whatever is sent later comes after it, and what was sent before it holds nothing any more.
        era++
        unlocking = []
        for (const lock of held.values()) lock.isLocked = false
        // Sent in one go: a process that is frozen in between has its locks all the same.
        await Promise.all([ask(on, 'select pg_advisory_unlock_all()'), relockOn(on)])
      } catch (error) {
        // Without its session nothing is locked, and what is held is asked for again.
        drop(on)
        throw error
      }
    },
    async close() {
      isClosed = true
      await flushUnlocks()
      const on = client
      client = null
      await on?.end().catch(() => {})
    },
  }
}

/** Not `end`, which waits for what was pipelined: behind a silent network that never comes back. */
function destroy(client: pg.Client): void {
  ;(client as unknown as { connection: { stream: Socket } }).connection.stream.destroy()
}

const UNLOCK = 'select pg_advisory_unlock(key) from unnest($1::bigint[]) as k(key)'

const RELOCK = `
  select pg_try_advisory_lock(key) as locked
  from (select key, n from unnest($1::bigint[]) with ordinality as k(key, n) offset 0) as k order by n`

/**
 * What the lock session needs, whatever the role's defaults are: no server timeout may reap it; a client that vanishes
 * is noticed by the server within seconds, also with unacknowledged bytes or in mid-query; a row it waits for is not
 * waited for for ever; and a function of ours sees what was committed before it.
 */
const HARDEN_SESSION = `
  set default_transaction_isolation to 'read committed';
  set statement_timeout to 0;
  set lock_timeout to '2s';
  set idle_in_transaction_session_timeout to 0;
  set idle_session_timeout to 0`

const NOTICE_VANISHED_CLIENTS = [
  'tcp_keepalives_idle to 5',
  'tcp_keepalives_interval to 2',
  'tcp_keepalives_count to 3',
  "tcp_user_timeout to '10s'",
  "client_connection_check_interval to '2s'",
]
