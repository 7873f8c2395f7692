import type pg from 'pg'
import { quote } from '../database/names.ts'
import { inTransaction } from '../database/session.ts'
import { messageOf, ResetBlockedError, ResetFailedError, SeedError } from '../errors.ts'
import type { SeedReport } from '../report.ts'
import type { Reset } from '../reset.ts'
import { recheckIdentity } from '../safety/identity.ts'
import { outsideDependents } from './dependents.ts'
import { readDiscarded } from './discarded.ts'
import { emptyPublicStatements } from './public-objects.ts'

interface SchemaRow {
  readonly name: string
  readonly owner: string
  readonly grants: readonly { role: string | null; privilege: string; isGrantable: boolean }[]
}

const SCHEMAS = `
  select n.nspname::text as name, pg_get_userbyid(n.nspowner)::text as owner, (
    select coalesce(json_agg(json_build_object(
      'role', nullif(a.grantee, 0)::regrole::text, 'privilege', a.privilege_type, 'isGrantable', a.is_grantable
    )), '[]') from aclexplode(n.nspacl) a where a.grantee <> n.nspowner
  ) as grants
  from pg_catalog.pg_namespace n where n.nspname = any($1::text[])`

/** One transaction that checks the connection once more and then drops: nothing is dropped on another one. */
export function recreate({ client, target, identity, settings }: Reset): Promise<SeedReport['discarded']> {
  const work = async () => {
    await recheckIdentity(client, target.host, settings.allow, identity)
    const present = await readDiscarded(client, settings.schemas)
    await recreateSchemas(client, settings.schemas)
    return present
  }
  return inTransaction(client, 'read write', work, (error, end) => {
    if (error instanceof SeedError) return error
    const { code } = error as { code?: unknown }
    const why =
      code === '55P03' ? 'another session uses their tables (a worker, a console); end it' : messageOf(error)
    const outcome =
      end === 'rolled back' ? 'Nothing was changed.' : 'Whether it was done is unknown; run it again.'
    const names = settings.schemas.join(', ')
    return new ResetFailedError(`The schemas ${names} could not be recreated: ${why}. ${outcome}`, {
      cause: error,
    })
  })
}

/**
 * Drops and recreates the schemas with their owners and grants, and empties `public` if it is among them.
 * Other sessions see the old schemas until the commit.
 *
 * @throws ResetBlockedError when something outside of them would be lost
 */
async function recreateSchemas(client: pg.Client, schemas: readonly string[]): Promise<void> {
  const dependents = await outsideDependents(client, schemas)
  if (dependents.length > 0) throw blocked(dependents)
  const { rows } = await client.query<SchemaRow>(SCHEMAS, [schemas])
  const present = new Map(rows.map((row) => [row.name, row]))
  if (schemas.includes('public')) {
    if (!present.has('public')) await client.query('create schema public')
    for (const statement of await emptyPublicStatements(client)) await client.query(statement)
  }
  const others = schemas.filter((schema) => schema !== 'public')
  if (others.length > 0) await client.query(`drop schema if exists ${others.map(quote).join(', ')} cascade`)
  for (const schema of others) {
    const before = present.get(schema)
    const owner = before === undefined ? '' : ` authorization ${quote(before.owner)}`
    await client.query(`create schema ${quote(schema)}${owner}`)
    for (const { role, privilege, isGrantable } of before?.grants ?? []) {
      const option = isGrantable ? ' with grant option' : ''
      await client.query(`grant ${privilege} on schema ${quote(schema)} to ${role ?? 'public'}${option}`)
    }
  }
}

export const blocked = (dependents: readonly string[]): ResetBlockedError =>
  new ResetBlockedError(dependents, 'Drop them first, or add their schema to `schemas`.')
