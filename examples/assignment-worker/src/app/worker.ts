import { createLedger, type Ledger } from '@opsledger/core'
import { pgBossHandler } from '@opsledger/core/pg-boss'
import { createGuard } from '@opsledger/dedupe'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { PgBoss } from 'pg-boss'
import type { HostTables } from './host-schema.ts'
import { createOperations, type Operations } from './operations.ts'
import { createProviderClient } from './provider-client.ts'
import { QUEUES } from './queues.ts'

export interface WorkerSettings {
  readonly databaseUrl: string
  readonly providerUrl: string
  readonly providerKey: string
  /** @default 15,000: how long a worker may be silent before its work can be taken over */
  readonly leaseMs?: number
  /** @default 15 minutes: how long the same work is refused after it ended */
  readonly cooldownMs?: number
  /** @default 1,000: how often running counts are shown */
  readonly progressEveryMs?: number
}

/** One pool, one ledger and one guard per process; the operations are wired to them once. Dispatchers do the same. */
export function wire({ databaseUrl, providerUrl, providerKey, cooldownMs, ...settings }: WorkerSettings) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 })
  pool.on('error', (error) => console.error(`an idle database connection broke: ${error.message}`))
  const db = new Kysely<HostTables>({ dialect: new PostgresDialect({ pool }) })
  const ledger = createLedger({
    pool,
    secrets: [providerKey],
    leaseMs: settings.leaseMs,
    progressEveryMs: settings.progressEveryMs,
  })
  const guard = createGuard(ledger, { cooldownMs })
  const provider = createProviderClient(providerUrl, providerKey)
  return { ledger, guard, db, provider, operations: createOperations({ ledger, guard, db, provider }) }
}

/** Takes jobs until `stop`, which hands back what still runs. */
export async function work(
  boss: PgBoss,
  operations: Operations,
  { ledger, db }: { ledger: Ledger; db: Kysely<HostTables> },
) {
  const options = { includeMetadata: true, perJobResults: true, pollingIntervalSeconds: 0.5 } as const
  await boss.work(QUEUES.fetch, options, pgBossHandler(boss, operations.fetch))
  await boss.work(QUEUES.restore, options, pgBossHandler(boss, operations.restore))
  await boss.work(QUEUES.reconcile, options, pgBossHandler(boss, operations.reconcile))

  return async function stop(): Promise<void> {
    const drained = Object.values(QUEUES).map((name) => boss.offWork(name))
    await Promise.all([...drained, ledger.close()])
    await boss.stop({ graceful: false })
    await db.destroy()
  }
}
