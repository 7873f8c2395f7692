import { connect, prepareSession } from './database/session.ts'
import { createClient, targetOf, urlOf } from './database/settings.ts'
import { dryRun } from './dry-run.ts'
import { ConnectionFailedError, messageOf, ResetRefusedError, SeedError } from './errors.ts'
import { assertStartable, describeMigrate, runMigrations } from './migrate.ts'
import { type ResetAndSeedOptions, settle } from './options.ts'
import type { Progress } from './progress.ts'
import type { SeedReport } from './report.ts'
import type { Reset } from './reset.ts'
import { refusals } from './safety/allow.ts'
import { checkIdentity } from './safety/identity.ts'
import { takeLock } from './safety/lock.ts'
import { recreate } from './schema/recreate.ts'
import { seedTables } from './seed-tables.ts'

/**
 * Resets the schemas of a database that is meant for it and fills them: drop and recreate, the host's
 * migrations, check, seed. Refuses before anything is changed; reports everything the plan lacks before the
 * first row is written; writes all rows in one transaction.
 *
 * @throws SeedError of many codes; each message says what state the database is in
 */
export async function resetAndSeed(options: ResetAndSeedOptions): Promise<SeedReport> {
  const startedMs = performance.now()
  const settings = settle(options)
  const client = createClient(settings.connection)
  const target = targetOf(client)
  // Before a connection is opened: a host that is not meant need not even be greeted.
  const reasons = refusals(target, settings.allow)
  if (reasons.length > 0) throw new ResetRefusedError(target.database, reasons)
  if (settings.mode === 'recreate' && settings.migrate !== null) await assertStartable(settings.migrate)

  let thrownByListener: { readonly error: unknown } | null = null
  const emit = (event: Progress) => {
    try {
      settings.onProgress(event)
    } catch (error) {
      thrownByListener ??= { error }
      throw error
    }
  }
  try {
    await connect(client, target)
    await prepareSession(client, settings.lockTimeoutMs)
    const identity = await checkIdentity(client, target.host, settings.allow)
    const reset: Reset = { client, target, identity, settings, emit }
    emit({ phase: 'check', database: identity.database, host: target.host })
    const report = settings.dryRun ? await dryRun(reset) : await run(reset)
    const elapsedMs = performance.now() - startedMs
    if (!settings.dryRun) emit({ phase: 'done', rows: report.rows, elapsedMs })
    return { ...report, elapsedMs }
  } catch (error) {
    if (thrownByListener !== null) throw (thrownByListener as { error: unknown }).error
    if (error instanceof SeedError) throw error
    throw new ConnectionFailedError(`The database failed before anything was changed: ${messageOf(error)}`, {
      cause: error,
    })
  } finally {
    await client.end().catch(() => {})
  }
}

async function run(reset: Reset): Promise<Omit<SeedReport, 'elapsedMs'>> {
  const { client, target, identity, settings, emit } = reset
  const { migrate, mode, schemas } = settings
  const url = await urlOf(settings.connection, target)
  await takeLock(client, settings.lockWaitMs)
  await prepareSession(client, settings.lockTimeoutMs)
  const dropped = mode === 'recreate' ? await recreate(reset) : []
  if (mode === 'recreate' && migrate !== null) {
    emit({ phase: 'recreate', schemas })
    emit({ phase: 'migrate', how: describeMigrate(migrate) })
    await runMigrations(migrate, { ...target, url }, (line) => emit({ phase: 'migration output', line }))
  }
  const { tables, truncated, kept } = await seedTables(reset)
  return {
    dryRun: false,
    mode,
    database: identity.database,
    host: target.host,
    schemas,
    discarded: mode === 'recreate' ? dropped : truncated,
    kept,
    migrations: mode === 'recreate' && migrate !== null ? describeMigrate(migrate) : null,
    tables,
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    problems: [],
    checkedAgainst: 'catalog',
  }
}
