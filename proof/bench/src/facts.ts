import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { median } from './statistics.ts'

const FSYNCS = 200
/** As large as a page of the write-ahead log. */
const PAGE = Buffer.alloc(8_192, 1)

/** What the figures depend on beside the code. */
export async function readFacts({ url, description }: { url: string; description: string }) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query(`
      select current_setting('server_version') as version, current_setting('fsync') as fsync,
             current_setting('synchronous_commit') as "synchronousCommit", current_setting('wal_sync_method') as method`)
    const [{ version, fsync, synchronousCommit, method }] = rows
    return {
      server: description,
      postgres: version as string,
      durability: `fsync ${fsync}, synchronous_commit ${synchronousCommit}, ${method}`,
      node: process.version,
      processor: `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'})`,
      memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
      platform: process.platform,
      fsync: `${measureFsyncMs().toFixed(2)} ms for 8 KiB, where temporary files are`,
    }
  } finally {
    await client.end()
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
