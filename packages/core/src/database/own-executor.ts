import { Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { publish } from '../events.ts'
import { bounded } from './bounded.ts'
import { connectionProblem, isConnectionError, isWrongIsolation, sqlState } from './database-error.ts'
import {
  type ConnectionSettings,
  callText,
  DEFAULT_CALL_TIMEOUT_MS,
  type Executor,
  INSPECT_SERVER,
  type LedgerTables,
  OWN_SETTINGS,
  parseAnswer,
  type ServerFacts,
  type ServerRow,
} from './executor.ts'
import { transactionOnClient } from './host-transaction.ts'
import { openPool } from './own-pool.ts'

/**
 * Enough for two settlements under way, a renewal and a read. In lease mode admissions go this way as well: then what
 * finds them all taken waits for a batch at most.
 */
export const DEFAULT_CONNECTIONS = 4

/** Longer than a failover's first refused connects take to turn into accepted ones on a healthy network. */
const CONNECT_TIMEOUT_MS = 5_000

/** Connections that the library opens and owns; nothing of the host's pool is borrowed or changed. */
export function createOwnExecutor(
  schema: string,
  settings: ConnectionSettings,
  maxConnections = DEFAULT_CONNECTIONS,
): Executor {
  const pool = openPool({
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    ...settings,
    ...OWN_SETTINGS,
    application_name: 'opsledger work',
    max: maxConnections,
    min: 0,
    allowExitOnIdle: true,
  })
  const kysely = new Kysely<LedgerTables>({ dialect: new PostgresDialect({ pool }) }).withSchema(schema)
  let hostPool: pg.Pool | null = null
  let opensTransactions = false
  let prepares = true

  const withClient = async <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    let client: pg.PoolClient
    try {
      client = await pool.connect()
    } catch (error) {
      throw connectionProblem(error, settings)
    }
    // A checked-out client without a listener takes the process down when the server closes it.
    let broken: Error | null = null
    const onError = (error: Error) => {
      broken = error
    }
    client.on('error', onError)
    try {
      return await work(client)
    } catch (error) {
      if (isConnectionError(error)) broken = error as Error
      throw error
    } finally {
      client.off('error', onError)
      client.release(broken ?? undefined)
    }
  }

  /** A host's transaction takes as long as the host likes: a settlement or a renewal must not wait for one to end. */
  const poolForHost = (): pg.Pool => {
    if (hostPool === null) {
      hostPool = openPool({
        connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
        keepAlive: true,
        ...settings,
        application_name: 'opsledger host',
        max: maxConnections,
        min: 0,
        allowExitOnIdle: true,
      })
    }
    return hostPool
  }

  const turns: (() => void)[] = []
  let inTurn = 0

  /** A pool's own time-out would count the wait for a turn as a database that is away, and hear no signal. */
  const takeTurn = async (cut: AbortSignal): Promise<void> => {
    cut.throwIfAborted()
    if (inTurn < maxConnections) {
      inTurn++
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onCut = () => {
      const place = turns.indexOf(resolve)
      if (place === -1) return
      turns.splice(place, 1)
      reject(cut.reason)
    }
    turns.push(resolve)
    cut.addEventListener('abort', onCut, { once: true })
    await promise.finally(() => cut.removeEventListener('abort', onCut))
  }
  const passTurn = () => {
    const next = turns.shift()
    if (next === undefined) inTurn--
    else next()
  }

  const executor: Executor = {
    isOwn: true,
    settings,
    kysely,
    async call(name, args, timeoutMs = DEFAULT_CALL_TIMEOUT_MS) {
      const query = {
        ...(prepares ? { name: `opsledger:${schema}.${name}` } : {}),
        text: callText(schema, name, args.length),
        values: args as unknown[],
      }
      try {
        return await withClient(async (client) => {
          const send = () => bounded(client.query<{ answer: string | null }>(query), timeoutMs)
          if (!opensTransactions) return parseAnswer((await send()).rows)
          await bounded(client.query('begin isolation level read committed'), timeoutMs)
          try {
            const { rows } = await send()
            await bounded(client.query('commit'), timeoutMs)
            return parseAnswer(rows)
          } catch (error) {
            if (!isConnectionError(error)) await bounded(client.query('rollback'), timeoutMs)
            throw error
          }
        })
      } catch (error) {
        if (isWrongIsolation(error) && !opensTransactions) {
          opensTransactions = true
          return executor.call(name, args, timeoutMs)
        }
        publish('opsledger:database.error', {
          schema,
          operation: name,
          code: sqlState(error),
          willRetry: isConnectionError(error),
        })
        throw error
      }
    },
    async transaction(cut, work) {
      await takeTurn(cut)
      try {
        const client = await poolForHost()
          .connect()
          .catch((error) => {
            throw connectionProblem(error, settings)
          })
        return await transactionOnClient(client, schema, cut, work)
      } finally {
        passTurn()
      }
    },
    async query<R>(text: string, values: readonly unknown[] = []) {
      const { rows } = await withClient((client) => client.query(text, values as unknown[]))
      return rows as R[]
    },
    async inspect() {
      return withClient(async (client) => {
        const row = (await client.query<ServerRow>(INSPECT_SERVER)).rows[0]!
        const { processID } = client as pg.PoolClient & { processID?: number | null }
        const facts: ServerFacts = {
          versionNumber: Number(row.version),
          defaultsToReadCommitted: row.isolation === 'read committed',
          isBehindPooler: processID !== row.pid,
        }
        opensTransactions = !facts.defaultsToReadCommitted
        prepares = !facts.isBehindPooler
        return facts
      })
    },
    async close() {
      await kysely.destroy()
      // Kysely ends its pool only if it has used it.
      await Promise.all([pool.ended ? null : pool.end(), hostPool?.end()])
    },
  }
  return executor
}
