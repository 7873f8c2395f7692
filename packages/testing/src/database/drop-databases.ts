import pg from 'pg'
import { withClient } from './admin-client.ts'
import { isOfDeadRun, isOfRun } from './names.ts'
import type { DatabaseHost } from './server.ts'

/** Removes what runs left behind whose process is gone; databases not made by this package are never touched. */
export async function dropStaleDatabases(host: DatabaseHost): Promise<string[]> {
  return dropWhere(host, isOfDeadRun)
}

/** Removes the templates and databases of one run. */
export async function dropRunDatabases(host: DatabaseHost & { runId: string }): Promise<string[]> {
  return dropWhere(host, (name) => isOfRun(host.runId, name))
}

async function dropWhere(host: DatabaseHost, isChosen: (name: string) => boolean): Promise<string[]> {
  return withClient(host.url, async (client) => {
    const { rows } = await client.query<{ datname: string }>('select datname from pg_database')
    const names = rows.map((row) => row.datname).filter(isChosen)
    const dropped: string[] = []
    for (const name of names) {
      try {
        await client.query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`)
        dropped.push(name)
      } catch {
        // another run cleans up at the same moment, or the role may not: what stays is tried again next time
      }
    }
    return dropped
  })
}
