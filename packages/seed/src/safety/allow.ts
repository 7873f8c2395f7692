import { InvalidOptionError } from '../errors.ts'
import { assertKnownOptions, namesOf } from '../known-options.ts'

/** What may be reset. There is no default: a database is only ever touched because somebody named it. */
export interface Allow {
  /**
   * Names of databases that are meant for it: exact, with `*` for any characters, or an expression that must
   * match the whole name. A pattern that matches every name is refused.
   */
  readonly database?: string | RegExp | readonly (string | RegExp)[]
  /**
   * Asks for the mark: `comment on database … is 'opsledger-seed: may be reset'`. With `database` both must
   * hold. A dump that is restored under another name does not bring the mark along.
   */
  readonly marker?: boolean
  /** Hosts beside this machine (loopback addresses and sockets), exact, such as a CI service's `postgres`. */
  readonly hosts?: readonly string[]
  /** Exact names of databases and hosts that look like production and are not. See `PRODUCTION_LIKE`. */
  readonly productionLike?: readonly string[]
}

/** What the comment on a database must contain to mark it. */
export const MARKER = 'opsledger-seed: may be reset'

/**
 * In the name of a database or host these words are refused; the `live` of `deliver` and `olive` does not
 * count. Random letters may spell one of them: digits and `a` to `f` cannot.
 */
export const PRODUCTION_LIKE = /prod|prd|primary|master|(?<!de|o)live/i

/** Databases of the server itself. Nothing allows them. */
const MAINTENANCE = ['postgres', 'template0', 'template1', 'rdsadmin', 'cloudsqladmin', 'azure_maintenance']

/** Matched by no pattern that says anything about a name. */
const NAMES_OF_NOBODY = ['postgres', 'a', 'qzxv_0917_jkw']

const OPTIONS = namesOf<Allow>({ database: true, marker: true, hosts: true, productionLike: true })

/** @throws InvalidOptionError when it allows nothing, or everything */
export function assertAllow(allow: Allow): void {
  const expected = "{ database: 'myapp_test*' } or { marker: true }, or both"
  if (typeof allow !== 'object' || allow === null) throw new InvalidOptionError('allow', allow, expected)
  assertKnownOptions('allow', allow, OPTIONS)
  const patterns = patternsOf(allow)
  if (patterns.length === 0 && allow.marker !== true) throw new InvalidOptionError('allow', allow, expected)
  for (const pattern of patterns) {
    if (NAMES_OF_NOBODY.every((name) => matches(name, pattern))) {
      const allowed = "a pattern that leaves names out, such as 'myapp_test*'"
      throw new InvalidOptionError('allow.database', pattern, allowed)
    }
  }
}

/** What is known of a database before, or after, a connection to it is open. */
export interface Candidate {
  readonly database: string
  readonly host: string
  /** The comment on the database; undefined while it is not known. */
  readonly comment?: string | null
  /**
   * Standbys that follow this server: a database that somebody relies on. Undefined while it is not known.
   */
  readonly standbys?: number
}

/** Everything that speaks against a reset, each with what would allow it; empty when nothing does. */
export function refusals(candidate: Candidate, allow: Allow): string[] {
  const { database, host, comment, standbys } = candidate
  const reasons: string[] = []
  const isVouchedFor = (name: string) => allow.productionLike?.includes(name) ?? false
  if (MAINTENANCE.includes(database))
    reasons.push('it is a maintenance database of the server; make one of your own')
  const patterns = patternsOf(allow)
  if (patterns.length > 0 && !patterns.some((pattern) => matches(database, pattern))) {
    const known = patterns.map(String).join(', ')
    reasons.push(`its name does not match allow.database (${known}); add its name there if it may be reset`)
  }
  if (allow.marker === true && comment !== undefined && !(comment ?? '').includes(MARKER)) {
    reasons.push(`it does not carry the mark; if it may be reset: comment on database … is '${MARKER}'`)
  }
  for (const [what, name] of [
    ['its name', database],
    ['its host', host],
  ] as const) {
    if (PRODUCTION_LIKE.test(name) && !isVouchedFor(name)) {
      reasons.push(
        `${what} ${JSON.stringify(name)} looks like production; if not, add it to allow.productionLike`,
      )
    }
  }
  if (!isThisMachine(host) && !(allow.hosts ?? []).includes(host)) {
    reasons.push(
      `its host ${JSON.stringify(host)} is not this machine; if it is meant, add it to allow.hosts`,
    )
  }
  if (standbys !== undefined && standbys > 0 && !isVouchedFor(database)) {
    const fix = 'if it may be reset all the same, add the database to allow.productionLike'
    reasons.push(`its server feeds ${standbys} standby(s), as production does; ${fix}`)
  }
  return reasons
}

const isThisMachine = (host: string): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host) || host.startsWith('/') || host.startsWith('@')

function patternsOf({ database }: Allow): readonly (string | RegExp)[] {
  if (database === undefined) return []
  return Array.isArray(database) ? database : [database as string | RegExp]
}

function matches(name: string, pattern: string | RegExp): boolean {
  const source =
    typeof pattern === 'string'
      ? pattern.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')
      : pattern.source
  const flags = typeof pattern === 'string' ? 's' : pattern.flags.replaceAll(/[gy]/g, '')
  return new RegExp(`^(?:${source})$`, flags).test(name)
}
