import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command } from './command.ts'
import { root } from './root.ts'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly license?: string
  readonly engines?: { readonly node?: string }
  readonly repository?: { readonly type?: string; readonly url?: string; readonly directory?: string }
  readonly scripts?: Readonly<Record<string, string>>
  readonly exports?: unknown
  readonly publishConfig?: { readonly provenance?: boolean }
}

/** A package that is published, and where its sources are. */
export interface Published {
  readonly home: string
  readonly manifest: Manifest
}

/** The same as its users get it. */
export interface Packed {
  readonly name: string
  readonly tarball: string
  /** As in the tarball. */
  readonly manifest: Manifest
  /** Every file of the tarball. */
  readonly files: readonly string[]
}

export async function publishedPackages(): Promise<Published[]> {
  const folder = join(root, 'packages')
  const found = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const home = join(folder, name)
      return { home, manifest: JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as Manifest }
    }),
  )
  return found.filter(({ manifest }) => manifest.private !== true)
}

/**
 * Packs what is published, built before unless the caller was told `--built`, into a temporary folder that is gone
 * when the result is disposed.
 */
export async function packPackages(): Promise<{ readonly packages: Packed[] } & AsyncDisposable> {
  if (!process.argv.includes('--built')) await command('pnpm', ['build'], { cwd: root })
  const folder = await mkdtemp(join(tmpdir(), 'opsledger-packages-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  try {
    const packages = await Promise.all((await publishedPackages()).map((found) => pack(found, folder)))
    return { packages, [Symbol.asyncDispose]: remove }
  } catch (error) {
    await remove()
    throw error
  }
}

async function pack({ home, manifest: { name, version } }: Published, folder: string): Promise<Packed> {
  await command('pnpm', ['pack', '--pack-destination', folder], { cwd: home })
  const tarball = join(folder, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)
  const list = await command('tar', ['-tzf', tarball], { cwd: folder })
  const packed = await command('tar', ['-xzOf', tarball, 'package/package.json'], { cwd: folder })
  return {
    name,
    tarball,
    manifest: JSON.parse(packed) as Manifest,
    files: list
      .trim()
      .split('\n')
      .map((file) => file.replace(/^package\//, '')),
  }
}
