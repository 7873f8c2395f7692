import { type EmbeddedServer, type RestartMode, startEmbeddedServer } from '@opsledger/testing'
import pg from 'pg'
import { CommandOptionError } from '../../../tools/lib/command-options.ts'

/** The place where the faults happen: a Postgres of the harness's own, or the one that a URL names. */
export interface Site {
  readonly url: string
  readonly description: string
  /** Null where the server is somebody else's: nobody restarts that. */
  readonly restart: ((mode: RestartMode) => Promise<void>) | null
  [Symbol.asyncDispose](): Promise<void>
}

/** @throws CommandOptionError where the server of the URL is not there, or makes no databases for this role */
export async function openSite(url: string | null): Promise<Site> {
  if (url !== null) {
    return {
      url,
      description: `Postgres ${await versionAt(url)} at the given URL`,
      restart: null,
      [Symbol.asyncDispose]: async () => {},
    }
  }
  const server: EmbeddedServer = await startEmbeddedServer({ settings: { max_connections: '300' } })
  return {
    url: server.url,
    description: server.describe(),
    restart: (mode) => server.restart(mode),
    [Symbol.asyncDispose]: () => server.stop(),
  }
}

async function versionAt(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<{ version: string; makes_databases: boolean }>(
      `select current_setting('server_version') as version,
         (select rolsuper or rolcreatedb from pg_roles where rolname = current_user) as makes_databases`,
    )
    if (!rows[0]!.makes_databases) {
      throw new CommandOptionError('--url names a role that makes no databases; allowed: one with CREATEDB')
    }
    return rows[0]!.version
  } catch (error) {
    if (error instanceof CommandOptionError) throw error
    const why = error instanceof AggregateError ? String(error.errors[0]) : String(error)
    throw new CommandOptionError(`--url names a server that does not answer: ${why.split('\n')[0]}`)
  } finally {
    await client.end().catch(() => {})
  }
}
