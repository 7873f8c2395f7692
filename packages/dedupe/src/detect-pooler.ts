import type pg from 'pg'

const ROUNDS = 3
/** A pool of one server makes the second client wait: that is an answer too. */
const PROBE_TIMEOUT_MS = 2_000

/**
 * Whether statements of one session may run on different server processes. A direct connection is greeted by the very
 * process that serves it. Behind a pooler, a second session opens a transaction, which takes the server the first one
 * just used: when the first then runs elsewhere (or has to wait), servers are handed out per transaction. A pooler
 * that pools whole sessions passes.
 */
export async function isTransactionPooled(
  client: pg.Client,
  connectSecond: () => Promise<pg.Client>,
): Promise<boolean> {
  const served = await backendPid(client)
  if ((client as pg.Client & { processID?: number | null }).processID === served) return false
  const second = await connectSecond()
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const before = await backendPid(client)
      await second.query('begin')
      try {
        await backendPid(second)
        if ((await backendPid(client)) !== before) return true
      } catch (error) {
        if (error instanceof Error && /timeout/i.test(error.message)) return true
        throw error
      } finally {
        await second.query('rollback')
      }
    }
    return false
  } finally {
    await second.end()
  }
}

async function backendPid(client: pg.Client): Promise<number> {
  const query = { text: 'select pg_backend_pid() as pid', query_timeout: PROBE_TIMEOUT_MS }
  const { rows } = await client.query<{ pid: number }>(query)
  return rows[0]!.pid
}
