import { strict as assert } from 'node:assert'
import { createLedger, type Ledger } from '@opsledger/core'
import { createGuard, type DedupeGuard, fingerprint } from '@opsledger/dedupe'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import './migrated.ts'

const log = (error: Error) => console.error(error)

async function direct() {
  // #region direct
  const ledger = createLedger({ connection: process.env.DATABASE_URL })
  const guard = createGuard(ledger) // 'session'
  // #endregion
  return { ledger, guard, async end() {} }
}

async function pooled() {
  const env = { ...process.env, POOLER_URL: process.env.DATABASE_URL }
  // #region pooled
  const ledger = createLedger({ connection: env.POOLER_URL })
  const guard = createGuard(ledger, { exclusion: 'lease' })
  // #endregion
  return { ledger, guard, async end() {} }
}

async function kysely() {
  // #region kysely
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 12 })
  pool.on('error', log)
  pool.on('connect', (client) => client.on('error', log))
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const ledger = createLedger({ kysely: db })
  const guard = createGuard(ledger) // 'lease'
  // #endregion
  return { ledger, guard, end: () => db.destroy() }
}

const both: { ledger: Ledger; guard: DedupeGuard; end(): Promise<void> }[] = []
for (const [make, exclusion] of [
  [direct, 'session'],
  [pooled, 'lease'],
  [kysely, 'lease'],
] as const) {
  const made = await make()
  assert.equal(made.guard.exclusion, exclusion)
  both.push(made)
}

// the modes exclude each other
let running = 0
const verdicts = await Promise.all(
  both.map(({ ledger, guard }, index) =>
    ledger.operation({
      type: 'test.mixed',
      scope: (_: object) => ({ workspaceId: 'acme' }),
      fingerprint: fingerprint([]),
      guard,
      async handler() {
        assert.equal(++running, 1)
        await new Promise((resolve) => setTimeout(resolve, 200))
        running--
      },
    })({}, { id: `d-${index}`, attempt: 1, maxAttempts: 1 }),
  ),
)
assert.equal(verdicts.filter(({ executed }) => executed).length, 1)
for (const { ledger, end } of both) {
  await ledger.close()
  await end()
}
