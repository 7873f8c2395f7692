import pg from 'pg'

/** Long enough for a server under load, short enough for a person who waits for an error. */
const CONNECT_TIMEOUT_MS = 10_000

/** Runs `work` on a connection of its own and closes it; a session lock taken in `work` ends with it. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'opsledger-testing',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  })
  client.on('error', () => {}) // a server that goes away shows up in the query that was under way
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** `18.4` from `18.4 (Debian 18.4-1)`. */
export async function readServerVersion(url: string): Promise<string> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ version: string }>(
      `select current_setting('server_version') as version`,
    )
    return rows[0]?.version.split(' ')[0] ?? 'unknown'
  })
}
