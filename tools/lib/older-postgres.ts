import { access, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { olderMajor } from '../../packages/testing/src/index.ts'
import { npmInstall } from './toolchain.ts'

/**
 * Makes sure that the embedded build of a major is there, and says what it had to download. They are no development
 * dependencies, because nobody who runs the demo or the tests should download five servers.
 */
export async function installPostgres(major: number): Promise<void> {
  const older = olderMajor(major)
  if (older === null || (await exists(older.folder))) return
  const packages = Object.entries(older.packages).map(([name, version]) => `${name}@${version}`)
  console.log(`installing ${packages.join(', ')}`)
  const draft = `${older.folder.replace(/[\\/]$/, '')}.${process.pid}`
  await mkdir(draft, { recursive: true })
  await writeFile(
    join(draft, 'package.json'),
    JSON.stringify({ private: true, dependencies: older.packages }),
  )
  await npmInstall(draft)
  await rename(draft, older.folder).catch(() => rm(draft, { recursive: true })) // somebody else was faster
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
