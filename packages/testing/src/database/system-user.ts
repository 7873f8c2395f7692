import { execFile } from 'node:child_process'
import { realpathSync, statSync } from 'node:fs'
import { chown, mkdtemp, realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

export interface SystemUser {
  uid: number
  gid: number
}

/**
 * Postgres and PgBouncer refuse to run as root. Root therefore starts them as `postgres`, or as `nobody` where there
 * is no such user; anybody else runs them as himself (null).
 */
export async function findServerUser(): Promise<SystemUser | null> {
  if (process.getuid?.() !== 0) return null
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([askId('-u', name), askId('-g', name)])
      if (uid !== 0) return { uid, gid }
    } catch {
      // no such user: try the next
    }
  }
  throw new Error(
    'Postgres does not run as root, and this system has neither a user "postgres" nor "nobody". Run as another ' +
      'user, add one (useradd --system postgres), or set OPSLEDGER_DATABASE_URL.',
  )
}

async function askId(flag: '-u' | '-g', name: string): Promise<number> {
  const { stdout } = await promisify(execFile)('id', [flag, name])
  return Number(stdout)
}

/** A fresh folder of this user's: below /tmp where the temporary folder is closed to him, as root's own may be. */
export async function createFolderFor(user: SystemUser | null, prefix: string): Promise<string> {
  const temp = await realpath(tmpdir())
  const folder = await mkdtemp(join(user && !isOpenToAll(temp) ? '/tmp' : temp, prefix))
  if (user) await chown(folder, user.uid, user.gid)
  return folder
}

/** Whether every user may enter this path: a checkout below a private home is closed to the server's user. */
export function isOpenToAll(path: string): boolean {
  for (let current = realpathSync(path); ; current = dirname(current)) {
    if ((statSync(current).mode & 0o001) === 0) return false
    if (current === dirname(current)) return true
  }
}
