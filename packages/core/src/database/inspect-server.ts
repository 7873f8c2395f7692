import { InvalidOptionError, MissingMigrationError, NewerSchemaError } from '../errors.ts'
import { isAdditive, type MigrationSet } from '../migrations/migration.ts'
import { connectionProblem } from './database-error.ts'
import { type Executor, quoteName, type ServerFacts } from './executor.ts'

/** SQL-standard function bodies and TID range scans are all there from 14 on. */
const OLDEST_POSTGRES = 14

/** @throws DatabaseUnavailableError, DatabaseRefusedError, InvalidOptionError (server older than 14) */
export async function inspectServer(executor: Executor): Promise<ServerFacts> {
  let facts: ServerFacts
  try {
    facts = await executor.inspect()
  } catch (error) {
    throw connectionProblem(error, executor.settings)
  }
  if (facts.versionNumber < OLDEST_POSTGRES * 10_000) {
    throw new InvalidOptionError(
      'the Postgres server',
      facts.versionNumber,
      `version ${OLDEST_POSTGRES} or newer`,
    )
  }
  return facts
}

/**
 * Compares the migrations that the code knows with those that the schema has.
 * @throws MissingMigrationError, which names the command; NewerSchemaError
 */
export async function assertMigrated(executor: Executor, schema: string, set: MigrationSet): Promise<void> {
  const table = `${quoteName(schema)}.${quoteName(`${set.package}_migration`)}`
  const [found] = await executor.query<{ table: string | null }>('select to_regclass($1)::text as table', [
    table,
  ])
  const rows =
    found?.table == null
      ? []
      : await executor.query<{ name: string }>(`select name from ${table} order by name`)
  const applied = new Set(rows.map((row) => row.name))
  const known = set.migrations.map((migration) => migration.name)
  const missing = known.filter((name) => !applied.has(name))
  const unknown = [...applied].filter((name) => !known.includes(name) && !isAdditive(name))
  if (unknown.length > 0) {
    throw new NewerSchemaError(
      `Schema "${schema}" has ${set.package} migrations that this version of @opsledger/${set.package} does not ` +
        `know: ${unknown.join(', ')}. Upgrade the package in this process to the version that migrated it.`,
    )
  }
  if (missing.length > 0) {
    throw new MissingMigrationError(
      `Schema "${schema}" lacks the ${set.package} migration${missing.length > 1 ? 's' : ''} ${missing.join(', ')}. ` +
        `Run \`${migrateCommand(schema, set)}\`, or call migrate() before the worker starts.`,
    )
  }
}

function migrateCommand(schema: string, set: MigrationSet): string {
  const withPackage = set.package === 'core' ? '' : ` --with @opsledger/${set.package}`
  return `npx opsledger migrate${withPackage}${schema === 'opsledger' ? '' : ` --schema ${schema}`}`
}
