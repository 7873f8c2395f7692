import { execFileSync } from 'node:child_process'
import { chownSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'

/** Below /tmp and open to the server's user, whatever this process's own temporary folder is. */
const FOLDER = '/tmp/opsledger-chaos-disk-'
const CHUNKS = [65_536, 4_096]

/** A file system of a few megabytes with a tablespace of the server on it. */
export interface SmallDisk {
  readonly tablespace: string
  /** Takes what is left of it. */
  fill(): void
  /** Gives that back. */
  free(): void
  [Symbol.asyncDispose](): Promise<void>
}

/** Why a small file system cannot be mounted here; null when it can. */
export function whyNoSmallDisk(): string | null {
  if (process.platform !== 'linux') return 'a small file system (tmpfs) is mounted on Linux only'
  if (process.getuid?.() !== 0) return 'mounting a small file system takes root'
  const folder = mkdtempSync(FOLDER)
  try {
    mount(folder, 1)
    unmount(folder)
    return null
  } catch {
    return 'a small file system cannot be mounted here'
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The server must run on this machine. */
export async function openSmallDisk(serverUrl: string, megabytes: number): Promise<SmallDisk> {
  const admin = new pg.Client(serverUrl)
  admin.on('error', () => {})
  await admin.connect()
  const folder = mkdtempSync(FOLDER)
  const tablespace = `opsledger_chaos_small_${process.pid}`
  mount(folder, megabytes)
  const filler = join(folder, 'filler')
  const data = join(folder, 'data')
  const { rows } = await admin.query(`select current_setting('data_directory') as folder`)
  const { uid, gid } = statSync(rows[0].folder)
  mkdirSync(data)
  for (const path of [folder, data]) chownSync(path, uid, gid)
  await admin.query(`create tablespace ${tablespace} location '${data}'`)

  return {
    tablespace,
    fill() {
      const file = openSync(filler, 'a')
      for (const size of CHUNKS) {
        const chunk = Buffer.alloc(size)
        try {
          for (;;) writeSync(file, chunk)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        }
      }
      closeSync(file)
    },
    free: () => rmSync(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      await admin.query(`drop tablespace ${tablespace}`)
      await admin.end()
      unmount(folder)
      rmSync(folder, { recursive: true })
    },
  }
}

function mount(folder: string, megabytes: number): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { stdio: 'ignore' })
}

function unmount(folder: string): void {
  execFileSync('umount', [folder], { stdio: 'ignore' })
}
