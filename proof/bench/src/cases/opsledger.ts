import { createLedger, type Ledger, migrate, type Operation } from '@opsledger/core'
import { createGuard, fingerprint } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Place, Prepare } from '../case.ts'
import { TYPE, tenantOf, WORKSPACE, workOf } from './ledger-writes.ts'

/** What the queue carries. */
export interface BenchPayload {
  readonly tenantId: string
  readonly work: string
  readonly index: number
}

export const payloadOf = (index: number): BenchPayload => ({
  tenantId: tenantOf(index),
  work: workOf(index),
  index,
})

/** The operation of all suites, with every option at its default. */
export function declareJob(
  ledger: Ledger,
  handler: Place['handler'],
  exclusion?: 'lease',
): Operation<BenchPayload, void> {
  return ledger.operation({
    type: TYPE,
    scope: ({ tenantId }: BenchPayload) => ({ workspaceId: WORKSPACE, tenantId }),
    fingerprint: fingerprint(['work']),
    guard: exclusion === undefined ? createGuard(ledger) : createGuard(ledger, { exclusion }),
    async handler({ payload }) {
      await handler(payload.index)
    },
  })
}

export async function migrateLedger(url: string, schema?: string): Promise<void> {
  await migrate({ connection: url, with: [migrations], ...(schema === undefined ? {} : { schema }) })
}

/** How a host gives its database to the library. */
type Host = (url: string) => {
  ledger: Ledger
  exclusion?: 'lease'
  end?: () => Promise<void>
}

const opsledger =
  (connect: Host): Prepare =>
  async ({ url, handler }) => {
    await migrateLedger(url)
    const { ledger, exclusion, end } = connect(url)
    const operation = declareJob(ledger, handler, exclusion)
    await ledger.ready()
    let deliveries = 0
    return {
      async job(index) {
        const delivery = { id: `delivery-${deliveries++}`, attempt: 1, maxAttempts: 3 }
        return (await operation(payloadOf(index), delivery)).executed
      },
      async close() {
        await ledger.close()
        await end?.()
      },
    }
  }

export const prepareSession = opsledger((url) => ({ ledger: createLedger({ connection: url }) }))

export const prepareLease = opsledger((url) => ({
  ledger: createLedger({ connection: url }),
  exclusion: 'lease',
}))

export const prepareKysely = opsledger((url) => {
  const pool = new pg.Pool({ connectionString: url, max: 16 })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  return { ledger: createLedger({ kysely }), end: () => kysely.destroy() }
})
