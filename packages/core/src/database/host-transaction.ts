import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import { isConnectionError } from './database-error.ts'
import {
  type Call,
  callText,
  DEFAULT_CALL_TIMEOUT_MS,
  type HostTransaction,
  parseAnswer,
} from './executor.ts'

type Work<T> = (trx: HostTransaction, call: Call) => Promise<T>

/**
 * A READ COMMITTED transaction on this Kysely instance, as long as `cut` does not end it. Its commit is bounded by the
 * time a call of ours has; what comes of a commit that nobody answered is not decided here.
 */
export async function transactionOn<T>(
  // biome-ignore lint/suspicious/noExplicitAny: any database type will do
  kysely: Kysely<any>,
  schema: string,
  cut: AbortSignal,
  work: Work<T>,
): Promise<T> {
  cut.throwIfAborted()
  let failure: { error: unknown } | null = null
  let commitTimer: NodeJS.Timeout | undefined
  const { promise: ended, reject } = Promise.withResolvers<never>()
  ended.catch(() => {})
  const onCut = () => reject(cut.reason)
  cut.addEventListener('abort', onCut, { once: true })
  const transaction = kysely
    .transaction()
    .setIsolationLevel('read committed')
    .execute(async (trx) => {
      const call: Call = async (name, args) => {
        const query = CompiledQuery.raw(callText(schema, name, args.length), [...args])
        return parseAnswer((await trx.executeQuery<{ answer: string | null }>(query)).rows)
      }
      try {
        const value = await work(trx, call)
        const giveUp = () => reject(new Error('Query read timeout'))
        commitTimer = setTimeout(() => setImmediate(giveUp), DEFAULT_CALL_TIMEOUT_MS)
        return value
      } catch (error) {
        failure = { error }
        throw error
      }
    })
  transaction.catch(() => {})
  try {
    return await Promise.race([transaction, ended])
  } catch (error) {
    // What the host's own writes failed with, rather than a rollback that found no connection any more.
    throw (failure as { error: unknown } | null)?.error ?? error
  } finally {
    clearTimeout(commitTimer)
    cut.removeEventListener('abort', onCut)
  }
}

/** The same on a client of a pool of ours, which is closed, and with it whatever hangs on it, when it is cut. */
export async function transactionOnClient<T>(
  client: pg.PoolClient,
  schema: string,
  cut: AbortSignal,
  work: Work<T>,
): Promise<T> {
  let broken: Error | undefined
  const onError = (error: Error) => {
    broken = error
  }
  client.on('error', onError)
  // One client as a pool, so that the host is given a transaction of Kysely's.
  const pool = {
    connect: async () => ({
      query: client.query.bind(client),
      release() {},
    }),
    end: async () => {},
  }
  const kysely = new Kysely({ dialect: new PostgresDialect({ pool: pool as unknown as pg.Pool }) })
  try {
    return await transactionOn(kysely, schema, cut, work)
  } catch (error) {
    if (cut.aborted || isConnectionError(error)) broken ??= error as Error
    throw error
  } finally {
    client.off('error', onError)
    client.release(broken)
  }
}
