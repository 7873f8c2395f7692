import { migrate } from '@opsledger/core'
import { migrations } from '@opsledger/dedupe/migrations'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { type HostTables, migrateHost } from './host-schema.ts'
import { QUEUES, RETRY_LIMIT } from './queues.ts'

/** Everything this application needs in a database: its own tables, OpsLedger's, and the queue's. Safe to run again. */
export async function migrateApplication({ url }: { readonly url: string }): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  await using db = new Kysely<HostTables>({ dialect: new PostgresDialect({ pool }) })
  await migrateHost(db)

  await migrate({ connection: url, with: [migrations] })

  const boss = new PgBoss({ connectionString: url, supervise: false, schedule: false, max: 1 })
  boss.on('error', (error) => console.error(`pg-boss: ${error.message}`))
  await boss.start()
  try {
    for (const queue of Object.values(QUEUES)) await boss.createQueue(queue, { retryLimit: RETRY_LIMIT })
  } finally {
    await boss.stop({ graceful: false })
  }
}
