import { readServerVersion, withClient } from './admin-client.ts'
import type { Server } from './server.ts'
import { maskPassword } from './urls.ts'

const VARIABLE = 'OPSLEDGER_DATABASE_URL'

/** A server somebody else runs. It is asked once, so that a wrong URL fails here and not in every test. */
export async function useExplicitServer(url: string): Promise<Server> {
  const shown = maskPassword(url)
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) {
    throw new Error(`${VARIABLE} is not a Postgres URL: expected postgres://user:password@host:5432/database`)
  }
  let version: string
  let mayCreate: boolean
  try {
    version = await readServerVersion(url)
    mayCreate = await mayCreateDatabases(url)
  } catch (cause) {
    throw new Error(
      `${VARIABLE} points to ${shown}, but no Postgres could be used there (${reasonOf(cause)}). Start that ` +
        'server or correct the URL; unset the variable to use Docker or the embedded Postgres instead.',
      { cause },
    )
  }
  if (!mayCreate) {
    throw new Error(
      `The role in ${VARIABLE} (${shown}) may not create databases, and each test file needs its own. ` +
        'Grant it with: alter role <name> createdb',
    )
  }
  return {
    url,
    kind: 'url',
    version,
    describe: () => `Postgres ${version} at ${shown} (from ${VARIABLE})`,
    stop: async () => {},
    [Symbol.asyncDispose]: async () => {},
  }
}

async function mayCreateDatabases(url: string): Promise<boolean> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ allowed: boolean }>(
      'select rolsuper or rolcreatedb as allowed from pg_roles where rolname = current_user',
    )
    return rows[0]?.allowed === true
  })
}

/** Node reports a refused `localhost` as an AggregateError with an empty message. */
function reasonOf(cause: unknown): string {
  const { code, message } = cause as { code?: string; message?: string }
  return [code, message].filter(Boolean).join(': ') || String(cause)
}
