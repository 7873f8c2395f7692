import pg from 'pg'
import { withClient } from './admin-client.ts'
import { databaseName, lockKey, templateName, thisRunId } from './names.ts'
import { retryWhileInUse } from './retry-while-in-use.ts'
import type { DatabaseHost } from './server.ts'
import { withDatabase } from './urls.ts'

/** A prepared database that is only ever copied: nobody can connect to it. */
export interface Template {
  readonly name: string
}

export interface Database extends AsyncDisposable {
  readonly url: string
  readonly name: string
  /** Ends the sessions that are still there. */
  drop(): Promise<void>
}

/**
 * Makes the template once per run and name, whichever process asks first; the others wait for it. `prepare`
 * gets the URL of an empty database and must have closed its connections when it returns.
 */
export async function createTemplate(
  host: DatabaseHost,
  options: { name: string; prepare: (url: string) => Promise<void> },
): Promise<Template> {
  const name = templateName(host.runId ?? thisRunId(), options.name)
  await withClient(host.url, async (client) => {
    await client.query('select pg_advisory_lock($1)', [lockKey(name)])
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name])
    if (rowCount !== 0) return
    // Built under another name: what carries the template's name is complete.
    const draft = `${name}_draft`
    await client.query(`drop database if exists ${quoted(draft)} with (force)`)
    await client.query(`create database ${quoted(draft)} template template0`)
    await options.prepare(withDatabase(host.url, draft))
    await retryWhileInUse(`the template "${options.name}" (did its prepare leave a connection open?)`, () =>
      client.query(`alter database ${quoted(draft)} rename to ${quoted(name)}`),
    )
    await client.query(`alter database ${quoted(name)} with allow_connections false`)
  })
  return { name }
}

/** A database of its own, in about 20 ms from a template; advisory locks in it are nobody else's. */
export async function createDatabase(host: DatabaseHost, template?: Template): Promise<Database> {
  const name = databaseName(host.runId ?? thisRunId())
  const source = template?.name ?? 'template0'
  await withClient(host.url, (client) =>
    retryWhileInUse(`the database "${source}"`, () =>
      client.query(`create database ${quoted(name)} template ${quoted(source)}`),
    ),
  )
  const drop = async () => {
    await withClient(host.url, (client) =>
      client.query(`drop database if exists ${quoted(name)} with (force)`),
    )
  }
  return { url: withDatabase(host.url, name), name, drop, [Symbol.asyncDispose]: drop }
}

const quoted = (name: string): string => pg.escapeIdentifier(name)
