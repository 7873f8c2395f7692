import { createLedger, type Delivery, type HandlerContext, type Ledger } from '@opsledger/core'
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { graphileWorkerTask } from '@opsledger/core/graphile-worker'
import { pgBossHandler } from '@opsledger/core/pg-boss'
import { waitUntilBlocked } from '@opsledger/testing'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)
/** Whatever is asked of it fails: an answer that comes from here was given without a round trip. */
const nowhere = createLedger({ connection: 'postgres://127.0.0.1:1/none', admissionTimeoutMs: 1 })
afterAll(() => nowhere.close())

const REASON = new Error('The queue wants this job to stop.')
const aborted = AbortSignal.abort(REASON)
const begun: string[] = []
beforeEach(() => {
  begun.length = 0
})

const operationOn = (ledger: Ledger, handler: (context: HandlerContext<string>) => unknown = () => 'done') =>
  ledger.operation({
    type: 'a.b',
    scope: (workspaceId: string) => ({ workspaceId }),
    fingerprint: () => 'f',
    handler(context) {
      begun.push(context.delivery.id)
      return handler(context)
    },
  })
const last = (id: string, signal?: AbortSignal): Delivery => ({ id, attempt: 3, maxAttempts: 3, signal })

/** Delivers while admissions are held up, and aborts it there. */
async function abortedInAdmission<T>(deliver: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const blocker = await database.pool().connect()
  await blocker.query('begin; lock table opsledger.operation_run in exclusive mode')
  try {
    const controller = new AbortController()
    const delivered = deliver(controller.signal)
    delivered.catch(() => {})
    await waitUntilBlocked(database.pool())
    controller.abort(REASON)
    await blocker.query('rollback')
    return await delivered
  } finally {
    blocker.release()
  }
}

describe('a delivery that is aborted', () => {
  test('before it was given rejects with the reason of its signal, without a round trip', async () => {
    const operation = operationOn(nowhere)
    await expect(operation('early', last('d1', aborted))).rejects.toBe(REASON)
    await expect(operation.conclude('early', last('d1', aborted))).rejects.toBe(REASON)
    const unnamed = operation('early', last('d1', AbortSignal.abort()))
    await expect(unnamed).rejects.toMatchObject({ name: 'AbortError' })
    expect(begun).toEqual([])
  })

  test('before it was given, and wrong as well, is told what is wrong', async () => {
    const wrong = { ...last('d1', aborted), attempt: 0 }
    await expect(operationOn(nowhere)('early', wrong)).rejects.toThrow(/^delivery\.attempt is 0/)
  })

  test('while it is admitted rejects with that reason too; its run waits for the next delivery', async () => {
    const ledger = ledgerOf()
    const operation = operationOn(ledger)
    await operation('warm', last('warm'))
    const ended = abortedInAdmission((signal) => operation('meanwhile', last('d1', signal)))
    await expect(ended).rejects.toBe(REASON)
    expect(begun).toEqual(['warm'])
    const scope = { workspaceId: 'meanwhile' }
    const [run] = (await ledger.list(scope)).runs
    // Its last attempt of the queue: were it one of the handler's, it would be terminal.
    expect(run).toMatchObject({ status: 'retrying', outcome: 'pending', reasonCode: 'abort.signal' })
    expect(await operation('meanwhile', last('d1'))).toMatchObject({ executed: true, run: { id: run!.id } })
    expect(begun).toEqual(['warm', 'd1'])
  })

  test('while its handler runs is the attempt that the handler makes of it', async () => {
    const controller = new AbortController()
    const operation = operationOn(ledgerOf(), ({ signal }) => {
      controller.abort(REASON)
      signal.throwIfAborted()
    })
    const conclusion = await operation.conclude('running', last('d1', controller.signal))
    expect(conclusion).toMatchObject({
      executed: true,
      threw: true,
      error: REASON,
      isHandedBack: false,
      run: { status: 'completed', outcome: 'failed' },
    })
  })
})

/** What a queue was told, for one delivery of its last attempt. */
const queues = {
  async bullmq(ledger: Ledger, workspaceId: string, signal: AbortSignal) {
    const told: string[] = []
    const job = {
      id: '1',
      queueName: 'q',
      data: workspaceId,
      timestamp: 1,
      attemptsMade: 2,
      opts: { attempts: 3 },
      async moveToDelayed(at: number) {
        told.push(at >= Date.now() - 60_000 ? 'delayed' : 'lost')
      },
    }
    const failure = await bullMqProcessor(operationOn(ledger))(job, 'token', signal).catch((e: Error) => e)
    return { told, failure: (failure as Error).name }
  },
  async 'graphile-worker'(ledger: Ledger, workspaceId: string, signal: AbortSignal) {
    const told: string[] = []
    const helpers = {
      job: { id: '1', attempts: 3, max_attempts: 3, revision: 0, created_at: new Date(0), locked_by: 'me' },
      abortSignal: signal,
      async query(text: string) {
        told.push(text.includes('attempts = greatest(attempts - 1, 0)') ? 'delayed' : text)
      },
    }
    const failure = await graphileWorkerTask(operationOn(ledger))(workspaceId, helpers).catch((e: Error) => e)
    return { told, failure: (failure as Error).message }
  },
  async 'pg-boss'(ledger: Ledger, workspaceId: string, signal: AbortSignal) {
    const told: string[] = []
    const executeSql = async (text: string) => {
      told.push(text.includes('retry_limit + 1') ? 'delayed' : text)
      return { rows: [] }
    }
    const boss = { getDb: () => ({ executeSql }) }
    const job = { id: '1', name: 'q', data: workspaceId, retryCount: 2, retryLimit: 2, signal }
    const [result] = await pgBossHandler(boss, operationOn(ledger))([job])
    return { told, failure: JSON.stringify(result!.output) }
  },
}
const POSTPONED: Record<keyof typeof queues, string> = {
  bullmq: 'DelayedError',
  'graphile-worker': 'Postponed: this delivery is made again, no attempt was spent.',
  'pg-boss': '{"postponed":true}',
}

describe.each(Object.keys(queues) as (keyof typeof queues)[])(
  '%s puts the job off, without an attempt',
  (name) => {
    const postponed = { told: ['delayed'], failure: POSTPONED[name] }

    test('when it is aborted before it was given', async () => {
      expect(await queues[name](nowhere, 'early', aborted)).toEqual(postponed)
      expect(begun).toEqual([])
    })

    test('when it is aborted while it is admitted', async () => {
      const ledger = ledgerOf()
      await ledger.ready()
      const answer = await abortedInAdmission((signal) => queues[name](ledger, `in ${name}`, signal))
      expect(answer).toEqual(postponed)
      expect(begun).toEqual([])
    })
  },
)
