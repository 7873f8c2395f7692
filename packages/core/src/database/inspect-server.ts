import {
  DatabaseRefusedError,
  InvalidOptionError,
  MissingMigrationError,
  NewerSchemaError,
} from '../errors.ts'
import { isAdditive, type MigrationSet } from '../migrations/migration.ts'
import { connectionProblem, rightsProblem, WHAT_TO_GRANT } from './database-error.ts'
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
 * @throws MissingMigrationError, which names the command; NewerSchemaError; DatabaseRefusedError
 */
export async function assertMigrated(executor: Executor, schema: string, set: MigrationSet): Promise<void> {
  await assertGranted(executor, schema, [
    { kind: 'schema', name: schema, right: 'usage' },
    { kind: 'table', name: `${set.package}_migration`, right: 'select' },
  ])
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

/** Something of the schema, and what a role has to be granted on it. */
interface Right {
  readonly kind: 'schema' | 'table' | 'sequence' | 'function'
  readonly name: string
  readonly right: string
}

/** Pruning alone deletes: a worker that leaves that to another role needs no right to. */
const WORKING_RIGHTS: Readonly<Record<string, readonly string[]>> = {
  table: ['select', 'insert', 'update'],
  // A worker looks at the newest fence before it frees orphans.
  sequence: ['usage', 'select'],
  function: ['execute'],
}

/**
 * Whether the role may do what executing and dispatching takes, so that a worker fails before its first job.
 * @throws DatabaseRefusedError, which names the role and everything it lacks
 */
export function assertMayWork(
  executor: Executor,
  schema: string,
  sets: readonly MigrationSet[],
): Promise<void> {
  return assertGranted(
    executor,
    schema,
    sets.flatMap((set) => rightsOn(schema, set)),
  )
}

/** What the migrations create says what there is to be granted. */
function rightsOn(schema: string, { migrations }: MigrationSet): Right[] {
  const s = quoteName(schema)
  const text = migrations.flatMap((one) => one.statements.map((file) => file(s, schema))).join('\n')
  const created = text.matchAll(new RegExp(`^create (table|sequence|function) ${s}\\.(\\w+)`, 'gm'))
  return [...created].flatMap(([, kind, name]) =>
    WORKING_RIGHTS[kind!]!.map((right) => ({ kind: kind as Right['kind'], name: name!, right })),
  )
}

async function assertGranted(executor: Executor, schema: string, rights: readonly Right[]): Promise<void> {
  const lacking = await executor.query<Right & { role: string }>(LACKING_RIGHTS, [
    schema,
    JSON.stringify(rights.map((right, place) => ({ ...right, place }))),
  ])
  if (lacking.length === 0) return
  const namesByRight = new Map<string, string[]>()
  for (const { kind, name, right } of lacking) {
    const key = kind === 'function' ? `${right} on function` : right
    namesByRight.set(key, [...(namesByRight.get(key) ?? []), kind === 'schema' ? 'the schema itself' : name])
  }
  const list = [...namesByRight].map(([right, names]) => {
    const on = right.endsWith('function') ? right : `${right} on`
    return `${on} ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`
  })
  throw new DatabaseRefusedError(
    `Role "${lacking[0]!.role}" lacks rights in schema "${schema}": ${list.join('; ')}. ${WHAT_TO_GRANT}`,
  )
}

/** Reads catalogs alone, which every role may. What is not there lacks nothing: it is a migration that is missing. */
const LACKING_RIGHTS = `
  select current_user::text as role, w.kind, w.name, w."right"
  from jsonb_to_recordset($2::text::jsonb) as w(place integer, kind text, name text, "right" text)
  join pg_catalog.pg_namespace n on n.nspname = $1
  left join pg_catalog.pg_class c
    on w.kind in ('table', 'sequence') and c.relnamespace = n.oid and c.relname = w.name
  left join pg_catalog.pg_proc p on w.kind = 'function' and p.pronamespace = n.oid and p.proname = w.name
  where not coalesce(case w.kind
    when 'schema' then has_schema_privilege(n.oid, w."right")
    when 'table' then has_table_privilege(c.oid, w."right")
    when 'sequence' then has_sequence_privilege(c.oid, w."right")
    else has_function_privilege(p.oid, w."right") end, true)
  order by w.place`

/** What fails for want of a right, on a role that lost it since, or has it for other calls alone, says so. */
export function explainRefusals(executor: Executor): Executor {
  const explained = async <T>(asked: string, work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw rightsProblem(error, asked)
    })
  return {
    ...executor,
    call: (name, args, timeoutMs) => explained(name, executor.call(name, args, timeoutMs)),
    query: (text, values) => explained('looking at the schema', executor.query(text, values)),
    // What the host's own statements lack is the host's own.
    transaction: (cut, work) =>
      executor.transaction(cut, (trx, call) =>
        work(trx, (name, args, timeoutMs) => explained(name, call(name, args, timeoutMs))),
      ),
  }
}

function migrateCommand(schema: string, set: MigrationSet): string {
  const withPackage = set.package === 'core' ? '' : ` --with @opsledger/${set.package}`
  return `npx opsledger migrate${withPackage}${schema === 'opsledger' ? '' : ` --schema ${schema}`}`
}
