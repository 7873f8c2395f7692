import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withClient } from '../database/admin-client.ts'
import { findFreePort } from '../database/free-port.ts'
import { createFolderFor, findServerUser } from '../database/system-user.ts'
import { eventually } from '../waits.ts'
import { configurationFor, type PgBouncerSettings } from './configuration.ts'
import { findPgBouncer } from './find-pgbouncer.ts'

/** It starts in some milliseconds, on a busy machine in a second. */
const READY_WITHIN_MS = 10_000
/** The end of its log that an error quotes, in characters. */
const LOG_TAIL = 4_000

export interface PgBouncer extends AsyncDisposable {
  /** As the target's, by way of the pooler. */
  readonly url: string
  /** At once; the connections of both sides break. */
  stop(): Promise<void>
}

/**
 * A PgBouncer on a free loopback port in front of the server of this URL. It ends with this process, unless that one
 * is killed.
 */
export async function startPgBouncer(targetUrl: string, settings: PgBouncerSettings): Promise<PgBouncer> {
  const binary = findPgBouncer()
  if (binary === null) throw new Error('PgBouncer is not installed (nor named by OPSLEDGER_PGBOUNCER)')
  const url = new URL(targetUrl)
  const port = await findFreePort()
  const configuration = configurationFor(url, port, settings)
  url.hostname = '127.0.0.1'
  url.port = String(port)

  const user = await findServerUser()
  const folder = await createFolderFor(user, 'opsledger-pgbouncer-')
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(file, configuration, { mode: 0o600 })
  if (user) await chown(file, user.uid, user.gid)

  const child = spawn(binary, [file], { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const kill = () => void child.kill('SIGKILL')
  process.on('exit', kill)
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-LOG_TAIL)
  })
  const stop = async () => {
    process.off('exit', kill)
    if (child.pid !== undefined && !hasEnded(child)) {
      const ended = once(child, 'exit')
      kill()
      await ended
    }
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await once(child, 'spawn')
    await untilItServes(url.href, child)
  } catch (cause) {
    await stop()
    throw new Error(`PgBouncer does not serve. The end of its log:\n${log || '(empty)'}`, { cause })
  }
  return { url: url.href, stop, [Symbol.asyncDispose]: stop }
}

async function untilItServes(url: string, child: ChildProcess): Promise<void> {
  const isServed = () => withClient(url, (client) => client.query('select 1'))
  // Nothing is to be waited for of a process that has ended.
  await eventually(async () => hasEnded(child) || isServed(), { withinMs: READY_WITHIN_MS })
  if (hasEnded(child)) throw new Error(`It ended with ${child.signalCode ?? `code ${child.exitCode}`}`)
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null
