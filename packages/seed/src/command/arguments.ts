import { parseArgs } from 'node:util'
import { InvalidOptionError, messageOf } from '../errors.ts'
import type { ResetAndSeedOptions } from '../options.ts'
import type { Allow } from '../safety/allow.ts'
import type { SeedConfig } from './config.ts'

export const USAGE = `Usage: opsledger-seed <config module> [options]

Drops and recreates the schemas of a database that is meant for it, runs the migrations, and seeds.

  --url <url>             the database, which must exist (default: the config's connection, else DATABASE_URL)
  --dry-run               print the plan and change nothing
  --truncate              empty the tables instead of recreating the schemas; runs no migrations
  --seed <n>              the integer all random values follow from (default: the config's, else 1)
  --allow <name>          a database that may be reset, '*' for any characters; repeatable
  --allow-host <host>     a host beside this machine; repeatable
  --allow-production-like <name>
                          the exact name of a database or host that looks like production and is not; repeatable
  --allow-marker          the database must carry the mark: comment on database … is 'opsledger-seed: may be reset'
  --lock-wait-ms <n>      how long to wait for another reset of the database (default: 0)
  --quiet                 no progress on stderr
  --help                  this text

Exit codes: 0 done; 1 the migrations, the plan or the seeding failed; 2 refused, misused or not connected: nothing was changed.
`

export interface Arguments {
  readonly help: boolean
  readonly quiet: boolean
  readonly config: string
  readonly overrides: Overrides
}

export interface Overrides {
  readonly url?: string
  readonly dryRun: boolean
  readonly truncate: boolean
  readonly seed?: number
  readonly allow: readonly string[]
  readonly allowHosts: readonly string[]
  readonly allowProductionLike: readonly string[]
  readonly allowMarker: boolean
  readonly lockWaitMs?: number
}

/** @throws InvalidOptionError */
export function readArguments(args: readonly string[]): Arguments {
  const { values, positionals } = parse(args)
  const help = values.help ?? false
  if (!help && positionals.length !== 1) {
    throw new InvalidOptionError('config', positionals.join(' '), 'the path of one config module; see --help')
  }
  return {
    help,
    quiet: values.quiet ?? false,
    config: positionals[0] ?? '',
    overrides: {
      url: values.url,
      dryRun: values['dry-run'] ?? false,
      truncate: values.truncate ?? false,
      seed: toInteger('--seed', values.seed),
      allow: values.allow ?? [],
      allowHosts: values['allow-host'] ?? [],
      allowProductionLike: values['allow-production-like'] ?? [],
      allowMarker: values['allow-marker'] ?? false,
      lockWaitMs: toInteger('--lock-wait-ms', values['lock-wait-ms']),
    },
  }
}

/** The config with what the command line adds: a flag wins over the config, and permissions add up. */
export function applyOverrides(
  config: SeedConfig,
  overrides: Overrides,
  environment: Readonly<Record<string, string | undefined>>,
): ResetAndSeedOptions {
  const connection = overrides.url ?? config.connection ?? environment.DATABASE_URL
  if (connection === undefined || connection === '') {
    throw new InvalidOptionError('--url', connection, 'a URL, or a connection in the config, or DATABASE_URL')
  }
  const { database = [], marker, hosts = [], productionLike = [], ...others } = config.allow ?? {}
  const patterns = [
    ...(Array.isArray(database) ? database : [database as string | RegExp]),
    ...overrides.allow,
  ]
  const allow: Allow = {
    database: patterns,
    marker: overrides.allowMarker || marker,
    hosts: [...hosts, ...overrides.allowHosts],
    productionLike: [...productionLike, ...overrides.allowProductionLike],
    ...others,
  }
  return {
    ...config,
    connection,
    allow,
    mode: overrides.truncate ? 'truncate' : config.mode,
    seed: overrides.seed ?? config.seed,
    lockWaitMs: overrides.lockWaitMs ?? config.lockWaitMs,
    dryRun: overrides.dryRun,
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        url: { type: 'string' },
        'dry-run': { type: 'boolean' },
        truncate: { type: 'boolean' },
        seed: { type: 'string' },
        allow: { type: 'string', multiple: true },
        'allow-host': { type: 'string', multiple: true },
        'allow-production-like': { type: 'string', multiple: true },
        'allow-marker': { type: 'boolean' },
        'lock-wait-ms': { type: 'string' },
        quiet: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new InvalidOptionError('arguments', messageOf(error), 'those of --help')
  }
}

function toInteger(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidOptionError(flag, text, 'a non-negative integer')
}
