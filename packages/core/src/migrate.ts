import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import { Migrator } from 'kysely/migration'
import { connectionProblem } from './database/database-error.ts'
import { type ConnectionSettings, quoteName } from './database/executor.ts'
import { openPool } from './database/own-pool.ts'
import { InvalidOptionError, NewerSchemaError } from './errors.ts'
import { assertKnownOptions } from './known-options.ts'
import { migrations as core } from './migrations/index.ts'
import { isAdditive, type MigrationSet } from './migrations/migration.ts'

export const DEFAULT_SCHEMA = 'opsledger'

/** One of `connection`, `pool` and `kysely` says where; the role needs `create` on the database. */
export interface MigrateOptions {
  /** A connection string, or pg settings, for one connection that is closed again. */
  readonly connection?: ConnectionSettings | string | undefined
  /** The host's pg pool: only its settings are read. */
  readonly pool?: { readonly options: object }
  /** The host's Kysely instance: one transaction of it. */
  // biome-ignore lint/suspicious/noExplicitAny: any database type will do, none of its tables are used
  readonly kysely?: Kysely<any>
  /** A lower-case SQL name of at most 48 characters. @default 'opsledger' */
  readonly schema?: string
  /** Migrations of further packages, such as `migrations` of `@opsledger/dedupe/migrations`. Core's always run. */
  readonly with?: readonly MigrationSet[]
}

/** What this call did. Of processes that migrate at once, the first has applied everything and the others nothing. */
export interface MigrationReport {
  readonly schema: string
  /** `package/name` of what was applied now; empty when there was nothing to do. */
  readonly applied: readonly string[]
}

/**
 * Brings the schema up to date: all of it in one transaction, or nothing. Twenty processes may start it at once: they
 * take turns under an advisory lock, and all but the first find nothing to do.
 * @throws NewerSchemaError, DatabaseUnavailableError, DatabaseRefusedError, InvalidOptionError
 */
export async function migrate(options: MigrateOptions): Promise<MigrationReport> {
  assertKnownOptions('migrate', options, ['connection', 'pool', 'kysely', 'schema', 'with'])
  const schema = assertSchemaName(options.schema ?? DEFAULT_SCHEMA)
  const sets = migrationSets(options)
  const { kysely, settings, close } = connect(options)
  try {
    const applied = await kysely
      .transaction()
      .setIsolationLevel('read committed')
      .execute((trx) => migrateIn(trx, schema, sets))
    return { schema, applied }
  } catch (error) {
    throw connectionProblem(error, settings)
  } finally {
    await close()
  }
}

/**
 * All migrations as SQL text for a host's own pipeline, marks of the applied ones included: for a schema that is not
 * there yet.
 * @throws InvalidOptionError
 */
export function migrationSql(options: { schema?: string; with?: readonly MigrationSet[] } = {}): string {
  assertKnownOptions('migrationSql', options, ['schema', 'with'])
  const schema = assertSchemaName(options.schema ?? DEFAULT_SCHEMA)
  const s = quoteName(schema)
  const parts = ['begin', lockStatement(schema), `create schema if not exists ${s}`]
  for (const set of migrationSets(options)) {
    const table = `${s}.${quoteName(`${set.package}_migration`)}`
    const lock = `${s}.${quoteName(`${set.package}_migration_lock`)}`
    parts.push(
      `create table if not exists ${table} (name varchar(255) not null primary key, timestamp varchar(255) not null)`,
      `create table if not exists ${lock} (id varchar(255) not null primary key, is_locked integer default 0 not null)`,
      `insert into ${lock} (id, is_locked) values ('migration_lock', 0) on conflict do nothing`,
    )
    for (const migration of set.migrations) {
      parts.push(
        `-- ${set.package}/${migration.name}\n${migration.statements.map((file) => file(s, schema).trim()).join(';\n')}`,
        `insert into ${table} (name, timestamp) values ('${migration.name}', to_char(clock_timestamp() at time zone ` +
          `'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`,
      )
    }
  }
  return `${[...parts, 'commit'].join(';\n\n')};\n`
}

/** @throws InvalidOptionError unless the name needs no quoting to be typed: the hosts' own SQL will name it */
export function assertSchemaName(schema: string): string {
  if (typeof schema !== 'string' || !/^[a-z_][a-z0-9_]{0,47}$/.test(schema) || schema.startsWith('pg_')) {
    throw new InvalidOptionError('schema', schema, 'a lower-case SQL name of at most 48 characters')
  }
  return schema
}

async function migrateIn(
  trx: Transaction<unknown>,
  schema: string,
  sets: readonly MigrationSet[],
): Promise<string[]> {
  await sql.raw(lockStatement(schema)).execute(trx)
  await sql.raw(`create schema if not exists ${quoteName(schema)}`).execute(trx)
  const applied: string[] = []
  for (const set of sets) {
    const ahead = await additiveAhead(trx, schema, set)
    const migrator = new Migrator({
      db: trx,
      migrationTableSchema: schema,
      migrationTableName: `${set.package}_migration`,
      migrationLockTableName: `${set.package}_migration_lock`,
      provider: { getMigrations: async () => ({ ...toKysely(set, schema), ...ahead }) },
    })
    const { error, results } = await migrator.migrateToLatest()
    if (error !== undefined) throw migrationProblem(error, schema, set)
    applied.push(...(results ?? []).map((result) => `${set.package}/${result.migrationName}`))
  }
  return applied
}

/** What a newer version added that this one can do without: Kysely wants to know every migration that was applied. */
async function additiveAhead(
  trx: Transaction<unknown>,
  schema: string,
  { package: name, migrations }: MigrationSet,
) {
  const table = `${quoteName(schema)}.${quoteName(`${name}_migration`)}`
  const found = await sql<{ table: string | null }>`select to_regclass(${table})::text as table`.execute(trx)
  if (found.rows[0]?.table == null) return {}
  const applied = await sql<{ name: string }>`select name from ${sql.raw(table)}`.execute(trx)
  const known = new Set(migrations.map((migration) => migration.name))
  const ahead = applied.rows.filter((row) => !known.has(row.name) && isAdditive(row.name))
  return Object.fromEntries(ahead.map((row) => [row.name, { async up() {} }]))
}

function toKysely(set: MigrationSet, schema: string) {
  return Object.fromEntries(
    set.migrations.map((migration) => [
      migration.name,
      {
        async up(db: Kysely<unknown>) {
          // Kysely's migrator lets go of its session lock in this same transaction: were that aborted by then, the
          // lock would stay with a host's connection, and the reason of the failure would be lost.
          await sql`savepoint opsledger_migration`.execute(db)
          try {
            for (const file of migration.statements)
              await sql.raw(file(quoteName(schema), schema)).execute(db)
          } catch (error) {
            await sql`rollback to savepoint opsledger_migration`.execute(db).catch(() => {})
            throw error
          }
        },
      },
    ]),
  )
}

function migrationProblem(error: unknown, schema: string, set: MigrationSet): unknown {
  if (error instanceof Error && /previously executed migration .* is missing/.test(error.message)) {
    return new NewerSchemaError(
      `Schema "${schema}" was migrated by a newer version of @opsledger/${set.package} (${error.message}). ` +
        'Upgrade the package before migrating again.',
      { cause: error },
    )
  }
  return error
}

/** All processes that migrate this schema wait here; \`create schema if not exists\` alone would race. */
function lockStatement(schema: string): string {
  return `select pg_advisory_xact_lock(hashtextextended('opsledger migrate ${schema}', 0))`
}

function migrationSets(options: { with?: readonly MigrationSet[] }): MigrationSet[] {
  const others = options.with ?? []
  const isSet = (set: MigrationSet) => typeof set?.package === 'string' && Array.isArray(set.migrations)
  if (!Array.isArray(others) || !others.every(isSet)) {
    throw new InvalidOptionError('with', others, "an array of packages' `migrations`")
  }
  return [core, ...others.filter((set) => set.package !== core.package)]
}

/** @throws InvalidOptionError */
export function assertKysely(kysely: unknown): void {
  if (typeof (kysely as { transaction?: unknown } | null)?.transaction !== 'function') {
    throw new InvalidOptionError('kysely', kysely, 'a Kysely instance')
  }
}

function connect(options: MigrateOptions) {
  assertOneWay(options)
  if (options.kysely !== undefined) {
    assertKysely(options.kysely)
    return { kysely: options.kysely as Kysely<unknown>, settings: null, close: async () => {} }
  }
  const settings = connectionSettings(options)
  const pool = openPool({ connectionTimeoutMillis: 5_000, ...settings, max: 1 })
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  return { kysely, settings, close: () => kysely.destroy() }
}

/** @throws InvalidOptionError when more than one way to the database is given */
export function assertOneWay(options: Pick<MigrateOptions, 'connection' | 'pool' | 'kysely'>): void {
  const ways = ['connection', 'pool', 'kysely'] as const
  const given = ways.filter((way) => options[way] !== undefined)
  if (given.length > 1) throw new InvalidOptionError(given[1]!, 'given', `only one of ${ways.join(', ')}`)
}

/** @throws InvalidOptionError unless a way to the database is given */
export function connectionSettings(options: {
  connection?: ConnectionSettings | string
  pool?: { readonly options: object }
}): ConnectionSettings {
  const { connection, pool } = options
  if (pool !== undefined) {
    if (typeof pool?.options !== 'object' || pool.options === null) {
      throw new InvalidOptionError('pool', pool, 'a pg `Pool`, or what has its `options`')
    }
    // pg keeps the password (and the TLS key) out of enumeration; everything else is a plain property.
    const { password, ssl } = pool.options as { password?: never; ssl?: unknown }
    return {
      ...pool.options,
      ...(password === undefined ? {} : { password }),
      ...(ssl === undefined ? {} : { ssl }),
    }
  }
  const text = typeof connection === 'string' ? connection : connection?.connectionString
  if (text !== undefined && !/^(postgres(ql)?|socket):/.test(text)) {
    throw new InvalidOptionError(
      'connection',
      '(not shown)',
      'a URL that begins with postgres:// or postgresql://',
    )
  }
  if (typeof connection === 'string') return { connectionString: connection }
  if (typeof connection === 'object' && connection !== null) return connection
  throw new InvalidOptionError(
    'connection',
    connection,
    'a connection string or settings, a pg `pool`, or `kysely`',
  )
}
