import { chown, cp, readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Binaries } from './embedded-binaries.ts'
import { createFolderFor, isOpenToAll, type SystemUser } from './system-user.ts'

/**
 * A fresh folder that the server's user owns. Where root's own folders are closed to that user, the binaries of a
 * checkout in a private home are copied along.
 */
export async function createServerFolder(
  installed: Binaries,
  user: SystemUser | null,
): Promise<{ folder: string; binaries: Binaries }> {
  const folder = await createFolderFor(user, 'opsledger-postgres-')
  if (user === null) return { folder, binaries: installed }
  const binaries = isOpenToAll(installed.root)
    ? installed
    : await copyBinaries(installed, join(folder, 'installation'))
  await giveTo(user, folder)
  return { folder, binaries }
}

async function copyBinaries(binaries: Binaries, root: string): Promise<Binaries> {
  await cp(binaries.root, root, { recursive: true, verbatimSymlinks: true })
  const moved = (file: string) => join(root, relative(binaries.root, file))
  return { root, initdb: moved(binaries.initdb), postgres: moved(binaries.postgres) }
}

async function giveTo(user: SystemUser, folder: string): Promise<void> {
  await chown(folder, user.uid, user.gid)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await giveTo(user, path)
    else if (entry.isFile()) await chown(path, user.uid, user.gid)
  }
}
