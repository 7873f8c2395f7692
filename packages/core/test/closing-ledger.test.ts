import { type Delivery, LedgerClosedError } from '@opsledger/core'
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { startProxy } from '@opsledger/testing'
import { expect, it } from 'vitest'
import { useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

const begun: string[] = []

/** The first delivery of a ledger looks at the server and then at the migrations; the ledger is closed in between. */
async function closeMeanwhile<T>(
  deliver: (operation: ReturnType<typeof operationOf>) => Promise<T>,
): Promise<T | Error> {
  await using proxy = await startProxy(database.url)
  const asked = Promise.withResolvers<void>()
  proxy.onClientData((_, chunk) => {
    if (!chunk.includes('server_version_num')) return 'pass'
    proxy.pause('to-client')
    asked.resolve()
    return 'pass'
  })
  const ledger = ledgerOf({ connection: proxy.url })
  const delivered = deliver(operationOf(ledger)).catch((error: Error) => error)
  await asked.promise
  const closed = ledger.close({ withinMs: 0 })
  // It has come to wait for its connection, which waits for the server's answer.
  await new Promise((resolve) => setImmediate(resolve))
  proxy.resume('to-client')
  await closed
  return delivered
}

const operationOf = (ledger: ReturnType<typeof ledgerOf>) =>
  ledger.operation({
    type: 'a.b',
    scope: (workspaceId: string) => ({ workspaceId }),
    fingerprint: () => 'f',
    handler({ delivery }) {
      begun.push(delivery.id)
    },
  })
const delivery: Delivery = { id: 'd1', attempt: 1, maxAttempts: 1 }

it('a first delivery that meets its ledger closing is told so, and does not begin', async () => {
  const error = await closeMeanwhile((operation) => operation('w', delivery))
  expect(error).toBeInstanceOf(LedgerClosedError)
  expect(begun).toEqual([])
})

it('a queue puts such a delivery off, without an attempt', async () => {
  const told: string[] = []
  const job = {
    id: '1',
    queueName: 'q',
    data: 'w',
    timestamp: 1,
    attemptsMade: 0,
    opts: { attempts: 1 },
    async moveToDelayed() {
      told.push('delayed')
    },
  }
  const error = await closeMeanwhile((operation) => bullMqProcessor(operation)(job, 'token', undefined))
  expect(error).toMatchObject({ name: 'DelayedError' })
  expect(told).toEqual(['delayed'])
  expect(begun).toEqual([])
})
