import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort } from '@opsledger/testing'
import pg from 'pg'

/** It refuses to run as root. */
const NOBODY = 65_534
const READY_WITHIN_MS = 10_000

export interface PgBouncer extends AsyncDisposable {
  /** The database by way of the pooler. */
  readonly url: string
}

/** The binary that OPSLEDGER_PGBOUNCER names, or the one on the path; null where there is none. */
export function findPgBouncer(): string | null {
  const named = process.env.OPSLEDGER_PGBOUNCER
  if (named !== undefined && named !== '') {
    if (!existsSync(named)) throw new Error(`OPSLEDGER_PGBOUNCER names nothing that is there: ${named}`)
    return named
  }
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, 'pgbouncer')).find((file) => existsSync(file)) ?? null
}

/** A PgBouncer in transaction mode on loopback, with this many server connections for any number of clients. */
export async function startPgBouncer(targetUrl: string, poolSize: number): Promise<PgBouncer> {
  const target = new URL(targetUrl)
  const port = await findFreePort()
  const folder = mkdtempSync(join(tmpdir(), 'opsledger-chaos-pgbouncer-'))
  const file = join(folder, 'pgbouncer.ini')
  const password = target.password === '' ? '' : ` password=${quoted(target.password)}`
  const settings = {
    pool_mode: 'transaction',
    default_pool_size: poolSize,
    max_client_conn: 300,
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    ignore_startup_parameters: 'extra_float_digits',
  }
  const lines = [
    '[databases]',
    `* = host=${target.hostname} port=${target.port || 5432} user=${quoted(target.username)}${password}`,
    '[pgbouncer]',
    ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
  ]
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  const isRoot = process.getuid?.() === 0
  if (isRoot) for (const path of [folder, file]) chownSync(path, NOBODY, NOBODY)
  const child = spawn(findPgBouncer()!, [file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  })
  const kill = () => child.kill('SIGKILL')
  process.on('exit', kill)
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-4_000)
  })
  const url = new URL(targetUrl)
  url.hostname = '127.0.0.1'
  url.port = String(port)
  const stop = async () => {
    process.off('exit', kill)
    await end(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await untilItServes(url.href, child, () => log)
  } catch (error) {
    await stop()
    throw error
  }
  return { url: url.href, [Symbol.asyncDispose]: stop }
}

const quoted = (part: string) => `'${decodeURIComponent(part).replaceAll("'", "''")}'`

async function untilItServes(url: string, child: ChildProcess, log: () => string): Promise<void> {
  for (const giveUpAt = performance.now() + READY_WITHIN_MS; ; await sleep(20)) {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended with ${child.exitCode}:\n${log()}`)
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query('select 1')
      return
    } catch (error) {
      if (performance.now() > giveUpAt) {
        throw new Error(`PgBouncer does not serve:\n${log()}`, { cause: error })
      }
    } finally {
      await client.end().catch(() => {})
    }
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
