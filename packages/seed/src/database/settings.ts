import pg from 'pg'
import { InvalidOptionError } from '../errors.ts'
import type { ConnectionSettings, Target } from './connection-settings.ts'

/** Longer than a service container of CI takes to accept connections once its port is open. */
const CONNECT_WITHIN_MS = 30_000

/** One connection does everything: check, lock, drop and seed. Its timeouts are those of this package. */
export function createClient(connection: string | ConnectionSettings): pg.Client {
  const settings = typeof connection === 'string' ? { connectionString: connection } : connection
  let client: pg.Client
  try {
    client = new pg.Client({
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
      ...settings,
      application_name: 'opsledger-seed',
      keepAlive: true,
      query_timeout: undefined,
      statement_timeout: undefined,
      lock_timeout: undefined,
      idle_in_transaction_session_timeout: undefined,
      types: undefined,
    } as pg.ClientConfig)
  } catch {
    // What pg says may hold the URL, and the URL a password.
    throw new InvalidOptionError('connection', 'unreadable', "a URL 'postgres://…' or settings of pg.Client")
  }
  // Without a listener a server that goes away would take the process down; the next statement says it too.
  client.on('error', () => {})
  return client
}

export function targetOf(client: pg.Client): Target {
  const { host, port, database, user } = client
  return { host, port, database: database ?? user ?? '', user: user ?? '' }
}

/** The same place as a URL, for a host's migration tool. */
export async function urlOf(connection: string | ConnectionSettings, target: Target): Promise<string> {
  const settings = typeof connection === 'string' ? { connectionString: connection } : connection
  if (settings.connectionString !== undefined) return settings.connectionString
  const url = new URL('postgres://localhost')
  url.username = encodeURIComponent(target.user)
  const password =
    typeof settings.password === 'function'
      ? await settings.password()
      : (settings.password ?? process.env.PGPASSWORD)
  if (password !== undefined) url.password = encodeURIComponent(password)
  url.pathname = `/${encodeURIComponent(target.database)}`
  if (isSocket(target.host)) url.searchParams.set('host', target.host)
  else url.hostname = target.host.includes(':') ? `[${target.host}]` : target.host
  url.port = String(target.port)
  return url.href
}

const isSocket = (host: string): boolean => host.startsWith('/') || host.startsWith('@')

/** Replaces the password of a URL in text that is shown. */
export function maskPassword(text: string, url: string): string {
  let masked = text.replaceAll(/(postgres(?:ql)?:\/\/[^:/?#\s]*:)[^@\s]*@/g, '$1***@')
  try {
    const { password } = new URL(url)
    for (const secret of [password, decodeURIComponent(password)]) {
      if (secret.length >= 4) masked = masked.replaceAll(secret, '***')
    }
  } catch {
    // not a URL: no password to find in it
  }
  return masked
}
