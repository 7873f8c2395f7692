import { CompiledQuery, type Kysely } from 'kysely'
import { bounded } from './bounded.ts'
import {
  callText,
  DEFAULT_CALL_TIMEOUT_MS,
  type Executor,
  INSPECT_SERVER,
  type LedgerTables,
  parseAnswer,
  type ServerRow,
} from './executor.ts'
import { transactionOn } from './host-transaction.ts'

/**
 * The host's own Kysely instance: its connections, its settings. Each call states its isolation level and nothing
 * else is touched. Closing it is the host's business.
 */
export function createKyselyExecutor<DB>(schema: string, host: Kysely<DB>): Executor {
  const kysely = host as unknown as Kysely<LedgerTables>
  const inTransaction = <R>(text: string, values: readonly unknown[]) =>
    kysely
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (trx) => (await trx.executeQuery<R>(CompiledQuery.raw(text, [...values]))).rows)

  return {
    isOwn: false,
    settings: null,
    kysely: kysely.withSchema(schema),
    async call(name, args, timeoutMs = DEFAULT_CALL_TIMEOUT_MS) {
      const rows = inTransaction<{ answer: string | null }>(callText(schema, name, args.length), args)
      return parseAnswer(await bounded(rows, timeoutMs))
    },
    transaction: (cut, work) => transactionOn(host, schema, cut, work),
    query: (text, values = []) => inTransaction(text, values),
    async inspect() {
      const row = (await inTransaction<ServerRow>(INSPECT_SERVER, []))[0]!
      return { versionNumber: Number(row.version), defaultsToReadCommitted: true, isBehindPooler: false }
    },
    async close() {},
  }
}
