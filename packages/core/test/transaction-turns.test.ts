import type { HandlerContext } from '@opsledger/core'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { createLatch, delivery, useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

/** How long a pool gives whoever waits for one of its connections. */
const PATIENCE_MS = 200

/** A worker that has one connection for transactions, which its handler's first one keeps. */
async function occupied() {
  const ledger = ledgerOf({
    connections: 1,
    connection: { connectionString: database.url, connectionTimeoutMillis: PATIENCE_MS },
  })
  const first = createLatch()
  const waiting = new Map<string, PromiseWithResolvers<void>>()
  const committed: string[] = []
  const operation = ledger.operation({
    type: 'a.b',
    scope: (workspaceId: string) => ({ workspaceId }),
    fingerprint: () => 'f',
    async handler({ run, payload }: HandlerContext<string>) {
      const transaction = run.transaction(async () => {
        if (payload === 'first') await first.hold()
        committed.push(payload)
      })
      waiting.get(payload)?.resolve()
      await transaction
    },
  })
  const holding = operation('first', delivery('first'))
  await Promise.race([first.entered, holding])
  return {
    committed,
    holding,
    leave: first.leave,
    /** Resolves, with the conclusion in a box, when its transaction has been asked for. */
    async deliver(id: string, signal?: AbortSignal) {
      const asked = Promise.withResolvers<void>()
      waiting.set(id, asked)
      const conclusion = operation.conclude(id, { ...delivery(id), signal })
      await Promise.race([asked.promise, conclusion])
      return { conclusion }
    },
  }
}

/** Somebody who waits, from now on, for a connection of a pool as patient: resolves when that has given up. */
async function patienceOver(): Promise<void> {
  const pool = new pg.Pool({
    connectionString: database.url,
    max: 1,
    connectionTimeoutMillis: PATIENCE_MS,
  })
  const only = await pool.connect()
  onTestFinished(async () => {
    only.release()
    await pool.end()
  })
  await expect(pool.connect()).rejects.toThrow('timeout')
}

it('more transactions than there are connections take turns, however long one takes', async () => {
  const { deliver, leave, holding, committed } = await occupied()
  const second = await deliver('second')
  const third = await deliver('third')
  await patienceOver()
  expect(committed).toEqual([])
  leave()
  expect(await holding).toMatchObject({ settlement: 'settled' })
  expect(await second.conclusion).toMatchObject({ threw: false, run: { outcome: 'succeeded' } })
  expect(await third.conclusion).toMatchObject({ threw: false, run: { outcome: 'succeeded' } })
  expect(committed).toEqual(['first', 'second', 'third'])
})

it('who waits for a turn hears the signal, and leaves the turn to the next', async () => {
  const { deliver, leave, holding, committed } = await occupied()
  const reason = new Error('the queue wants it to stop')
  const stop = new AbortController()
  const second = await deliver('second', stop.signal)
  const third = await deliver('third')
  stop.abort(reason)
  // The first is still at it.
  expect(await second.conclusion).toMatchObject({ threw: true, error: reason })
  leave()
  await holding
  expect(await third.conclusion).toMatchObject({ threw: false })
  expect(committed).toEqual(['first', 'third'])
})
