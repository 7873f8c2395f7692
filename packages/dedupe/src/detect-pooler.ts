import type pg from 'pg'

const ROUNDS = 4
/** A pool without a free server makes a client wait: longer than this, and it has none. */
const PROBE_TIMEOUT_MS = 2_000

/**
 * Whether statements of one session may run on different server processes. A direct connection is greeted by the very
 * process that serves it. Behind a pooler, a second session asks in between: where the first is served by another
 * process than before, or the second by one that has served the first, servers are handed out per transaction. The
 * second asks once more in each round, so that servers handed out in turn do not fall into step with the questions.
 * A pooler that pools whole sessions passes.
 */
export async function isTransactionPooled(
  client: pg.Client,
  connectSecond: () => Promise<pg.Client>,
): Promise<boolean> {
  const served = await backendPid(client)
  if ((client as pg.Client & { processID?: number | null }).processID === served) return false
  const second = await connectSecond()
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      for (let question = 0; question < round; question++) {
        if ((await backendPid(second)) === served) return true
      }
      if ((await backendPid(client)) !== served) return true
    }
    return false
  } catch (error) {
    if (!isTimeout(error)) throw error
    // No server is free for the second: one that is the first's own still answers it.
    try {
      return (await backendPid(client)) !== served
    } catch (again) {
      if (isTimeout(again)) return true
      throw again
    }
  } finally {
    second.end().catch(() => {})
  }
}

const isTimeout = (error: unknown): boolean => error instanceof Error && /timeout/i.test(error.message)

async function backendPid(client: pg.Client): Promise<number> {
  const query = { text: 'select pg_backend_pid() as pid', query_timeout: PROBE_TIMEOUT_MS }
  const { rows } = await client.query<{ pid: number }>(query)
  return rows[0]!.pid
}
