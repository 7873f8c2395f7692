import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { CommandOptionError } from '../../../tools/lib/command-options.ts'
import type { Site } from './site.ts'
import { median } from './statistics.ts'

const FSYNCS = 200
/** As large as a page of the write-ahead log. */
const PAGE = Buffer.alloc(8_192, 1)

/** Who is measured should not wait long for a server that is not there. */
const CONNECT_TIMEOUT_MS = 10_000

/**
 * What the figures depend on beside the code.
 * @throws CommandOptionError where the server of the URL is not there, or makes no databases for this role
 */
export async function readFacts({ url, isOwn, description }: Site) {
  const client = await connect(url)
  try {
    const { rows } = await client.query(`
      select current_setting('server_version') as version, current_setting('fsync') as fsync,
             current_setting('synchronous_commit') as "synchronousCommit", current_setting('wal_sync_method') as method,
             (select rolsuper or rolcreatedb from pg_roles where rolname = current_user) as "makesDatabases"`)
    const [{ version, fsync, synchronousCommit, method, makesDatabases }] = rows
    if (!makesDatabases) {
      throw new CommandOptionError('--url names a role that makes no databases; allowed: one with CREATEDB')
    }
    return {
      server: isOwn ? description : `Postgres ${version} at ${description}`,
      durability: `fsync ${fsync}, synchronous_commit ${synchronousCommit}, ${method}`,
      disk: `an fsync of this machine's disk takes ${measureFsyncMs().toFixed(2)} ms (8 KiB, in the folder of temporary files)`,
      node: `Node ${process.version}`,
      processor: `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'})`,
      memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
      platform: process.platform,
    }
  } finally {
    await client.end()
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch (error) {
    const why = error instanceof AggregateError ? String(error.errors[0]) : String(error)
    throw new CommandOptionError(`--url names a server that does not answer: ${why.split('\n')[0]}`)
  }
}

/** The median of writing a page and waiting for the disk; the embedded server's files are in the same place. */
function measureFsyncMs(): number {
  const folder = mkdtempSync(join(tmpdir(), 'opsledger-bench-'))
  const file = openSync(join(folder, 'fsync'), 'w')
  try {
    const times = Array.from({ length: FSYNCS }, () => {
      const beganAt = performance.now()
      writeSync(file, PAGE)
      fsyncSync(file)
      return performance.now() - beganAt
    })
    return median(times)
  } finally {
    closeSync(file)
    rmSync(folder, { recursive: true })
  }
}
