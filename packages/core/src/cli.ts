#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { InvalidOptionError, OpsLedgerError } from './errors.ts'
import type { MigrationSet } from './migrations/migration.ts'

const USAGE = `Usage: opsledger migrate [options]

Brings the schema of OpsLedger up to date: all of it in one transaction, or nothing. Safe to start from many
processes at once.

Options:
  --url URL        The database, as a connection string. Default: OPSLEDGER_DATABASE_URL, else DATABASE_URL.
  --schema NAME    The schema to migrate. Default: opsledger.
  --with PACKAGE   Migrate this package too, such as @opsledger/dedupe. May be given more than once.
  --print          Write the SQL to stdout instead, for a schema that is not there yet; connects to nothing.
  -h, --help       Show this.
  -v, --version    Show the version of @opsledger/core.

Example, for a ledger with a guard:
  DATABASE_URL=postgres://app@localhost:5432/app npx opsledger migrate --with @opsledger/dedupe

Exit codes: 0 done, 1 it failed, 2 it was called wrongly.
`

/** The package that brings the guard, as its users name it. */
const GUARD = '@opsledger/dedupe'

/** The call was wrong: exit code 2, and the way to the usage. */
class UsageError extends Error {}

/** What this command needs beside it is not installed, or in another version: exit code 1. */
class InstallationError extends Error {}

const { stdout, stderr, env, argv } = process

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(args)
  if (values.help === true || positionals[0] === 'help') {
    stdout.write(USAGE)
    return
  }
  if (values.version === true) {
    stdout.write(`${own().version}\n`)
    return
  }
  const [command, ...rest] = positionals
  if (command === undefined) throw new UsageError('No command was given.')
  if (command !== 'migrate') throw new UsageError(`There is no command ${JSON.stringify(command)}.`)
  if (rest.length > 0) throw new UsageError(`migrate takes no argument ${JSON.stringify(rest[0])}.`)

  const { migrate, migrationSql } = await loadMigrate()
  const { schema } = values
  const packages = values.with ?? []
  const sets: MigrationSet[] = []
  for (const name of packages) sets.push(await migrationsOf(name))
  if (values.print === true) {
    stdout.write(migrationSql({ schema, with: sets }))
    hintAtGuard(packages)
    return
  }
  const url = values.url ?? env.OPSLEDGER_DATABASE_URL ?? env.DATABASE_URL
  if (url === undefined || url === '') {
    throw new UsageError('No database was given: pass --url, or set OPSLEDGER_DATABASE_URL or DATABASE_URL.')
  }
  const { applied, schema: migrated } = await migrate({ connection: url, schema, with: sets })
  const what = applied.length === 0 ? 'is up to date, nothing to apply' : `applied ${applied.join(', ')}`
  stdout.write(`Schema "${migrated}": ${what}.\n`)
  hintAtGuard(packages)
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        url: { type: 'string' },
        schema: { type: 'string' },
        with: { type: 'string', multiple: true },
        print: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}

interface PackageJson {
  readonly version: string
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

function own(): PackageJson {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as PackageJson
}

/**
 * Loaded only when it is needed: beside a `kysely` or `pg` of another version it may fail while it is linked,
 * before a line of it runs.
 */
async function loadMigrate(): Promise<typeof import('./migrate.ts')> {
  try {
    return await import('./migrate.ts')
  } catch (error) {
    const { peerDependencies = {}, peerDependenciesMeta = {} } = own()
    const peers = Object.entries(peerDependencies)
      .filter(([name]) => peerDependenciesMeta[name]?.optional !== true)
      .map(([name, range]) => `${name} ${range} (found: ${installedVersion(name)})`)
      .join(' and ')
    throw new InstallationError(
      `@opsledger/core ${own().version} needs ${peers}; what is installed cannot be loaded ` +
        `(${(error as Error).message.split('\n')[0]}). Install versions in these ranges.`,
      { cause: error },
    )
  }
}

/** Read off the folders that Node looks into: a package need not export its `package.json`. */
function installedVersion(name: string): string {
  let folder = fileURLToPath(new URL('.', import.meta.url))
  while (folder !== dirname(folder)) {
    try {
      const file = join(folder, 'node_modules', name, 'package.json')
      return (JSON.parse(readFileSync(file, 'utf8')) as PackageJson).version
    } catch {
      folder = dirname(folder)
    }
  }
  return 'none'
}

/** On stderr, so that printed SQL stays SQL: a guard beside a ledger that has not its tables would fail at its first use. */
function hintAtGuard(packages: readonly string[]): void {
  if (packages.includes(GUARD)) return
  try {
    resolveHere(`${GUARD}/migrations`)
  } catch {
    return
  }
  stderr.write(`${GUARD} is installed here and was not named: add --with ${GUARD} to migrate it too.\n`)
}

/** As the host's own code would find it. */
function resolveHere(specifier: string): string {
  return createRequire(join(process.cwd(), 'opsledger')).resolve(specifier)
}

/** The host's own installation comes first: that is the version which its workers run. */
async function migrationsOf(name: string): Promise<MigrationSet> {
  const specifier = `${name}/migrations`
  const found = (await importFrom(specifier)) as { migrations?: Partial<MigrationSet> }
  const { migrations } = found
  if (typeof migrations?.package !== 'string' || !Array.isArray(migrations.migrations)) {
    throw new UsageError(`${specifier} has no export \`migrations\`, so there is nothing of it to migrate.`)
  }
  return migrations as MigrationSet
}

async function importFrom(specifier: string): Promise<unknown> {
  let target = specifier
  try {
    target = pathToFileURL(resolveHere(specifier)).href
  } catch {
    // Not reachable from there: perhaps it stands beside this package.
  }
  try {
    return await import(target)
  } catch (error) {
    if (!isNotFound(error)) throw error
    const why = (error as Error).message.split('\n')[0]!.replace(/\.$/, '')
    throw new UsageError(
      `${specifier} cannot be found from ${process.cwd()}: ${why}. ` +
        'Install the package, or run this where it is installed.',
      { cause: error },
    )
  }
}

function isNotFound(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED'
}

try {
  await main(argv.slice(2))
} catch (error) {
  const isUsage = error instanceof UsageError || error instanceof InvalidOptionError
  const text = error instanceof Error ? error.message : String(error)
  const isKnown = isUsage || error instanceof OpsLedgerError || error instanceof InstallationError
  stderr.write(`opsledger: ${isKnown ? text : `migrating failed: ${text}`}\n`)
  if (isUsage) stderr.write('See `opsledger --help`.\n')
  process.exitCode = isUsage ? 2 : 1
}
