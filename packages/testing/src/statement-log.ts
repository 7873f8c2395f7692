import type pg from 'pg'
import { startProxy } from './proxy.ts'
import { Conversation } from './wire/conversation.ts'

/**
 * What clients sent and awaited, read off the wire protocol, so exact whatever else the server does.
 * Connecting and authenticating count as nothing.
 */
export interface StatementCounts {
  /** SQL texts in the order sent, `begin` and `commit` included. One text may hold several statements. */
  statements: string[]
  /** How often a connection with nothing outstanding sent a request and so had to wait for the server. */
  roundTrips: number
  /** Transactions that ended, implicit ones included; how many of them wrote, the wire does not say. */
  transactions: number
}

/** Counts for every connection made through `url`; see `StatementCounts`. */
export interface StatementLog extends AsyncDisposable {
  readonly url: string
  /** A copy of the counts since the start or the last `reset`. */
  counts(): StatementCounts
  reset(): void
  /** What was sent while `block` ran; an unawaited request that leaves later is not in it. */
  record(block: () => Promise<unknown>): Promise<StatementCounts>
  stop(): Promise<void>
}

export async function startStatementLog(targetUrl: string): Promise<StatementLog> {
  let current = noCounts()
  const conversations = new Map<number, Conversation>()
  const conversationOf = (id: number): Conversation => {
    let conversation = conversations.get(id)
    if (conversation === undefined) {
      conversation = new Conversation({
        onStatement: (sql) => {
          current.statements.push(sql)
        },
        onRoundTrip: () => {
          current.roundTrips += 1
        },
        onReady: (status) => {
          if (status === 'I') current.transactions += 1
        },
      })
      conversations.set(id, conversation)
    }
    return conversation
  }
  const proxy = await startProxy(targetUrl, {
    onClientData: (id, chunk) => {
      conversationOf(id).fromClient(chunk)
      return 'pass'
    },
    onServerData: (id, chunk) => {
      conversationOf(id).fromServer(chunk)
      return 'pass'
    },
  })
  const counts = () => structuredClone(current)
  const reset = () => {
    current = noCounts()
  }
  return {
    url: proxy.url,
    counts,
    reset,
    record: async (block) => {
      reset()
      await block()
      return counts()
    },
    stop: proxy.stop,
    [Symbol.asyncDispose]: proxy.stop,
  }
}

/** The log for one block: give `url` to the code under test. Pools made in the block must end in it. */
export async function countStatements(
  targetUrl: string,
  block: (url: string) => Promise<unknown>,
): Promise<StatementCounts> {
  await using log = await startStatementLog(targetUrl)
  // awaited here: a bare promise would be returned after the log has stopped
  return await log.record(() => block(log.url))
}

const noCounts = (): StatementCounts => ({ statements: [], roundTrips: 0, transactions: 0 })

/**
 * Transactions that wrote, as transaction ids used up while `block` ran. The ids are counted for the whole server
 * and savepoints that write take one each, so this is exact only on a server where nothing else runs: start an
 * embedded one with `settings: { autovacuum: 'off' }`. Reading the counter takes no id.
 */
export async function countWritingTransactions(
  pool: Pick<pg.Pool, 'query'>,
  block: () => Promise<unknown>,
): Promise<number> {
  const before = await nextTransactionId(pool)
  await block()
  return Number((await nextTransactionId(pool)) - before)
}

async function nextTransactionId(pool: Pick<pg.Pool, 'query'>): Promise<bigint> {
  const { rows } = await pool.query('select pg_snapshot_xmax(pg_current_snapshot())::text as next')
  return BigInt(rows[0].next)
}
