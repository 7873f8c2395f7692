import type { HandlerContext, Ledger } from '@opsledger/core'
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { graphileWorkerTask } from '@opsledger/core/graphile-worker'
import { pgBossHandler } from '@opsledger/core/pg-boss'
import { describe, expect, it } from 'vitest'
import { useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

type Handler = (context: HandlerContext<string>) => unknown

const operationOn = (ledger: Ledger, handler: Handler) =>
  ledger.operation({
    type: 'a.b',
    scope: (workspaceId: string) => ({ workspaceId }),
    fingerprint: () => 'f',
    handler,
  })

const refuse = async () => {
  throw new Error('The queue was asked for something else than to complete the job.')
}

/** What a queue keeps of the first of three attempts. */
const queues = {
  bullmq: (ledger: Ledger, workspaceId: string, handler: Handler) =>
    bullMqProcessor(operationOn(ledger, handler))(
      {
        id: '1',
        queueName: 'q',
        data: workspaceId,
        timestamp: 1,
        attemptsMade: 0,
        opts: { attempts: 3 },
        moveToDelayed: refuse,
      },
      'token',
      undefined,
    ),
  'graphile-worker': (ledger: Ledger, workspaceId: string, handler: Handler) =>
    graphileWorkerTask(operationOn(ledger, handler))(workspaceId, {
      job: { id: '1', attempts: 1, max_attempts: 3, revision: 0, created_at: new Date(0), locked_by: 'me' },
      abortSignal: new AbortController().signal,
      query: refuse,
    }),
  async 'pg-boss'(ledger: Ledger, workspaceId: string, handler: Handler) {
    const boss = {
      getDb: () => ({ executeSql: refuse, beginTransaction: refuse }),
      cancel: refuse,
      resume: refuse,
      update: refuse,
    }
    const { signal } = new AbortController()
    const job = { id: '1', name: 'q', data: workspaceId, retryCount: 0, retryLimit: 2, signal }
    const [result] = await pgBossHandler(boss, operationOn(ledger, handler))([job])
    return result
  },
}

/** What they were given: graphile-worker deletes the job and keeps nothing. */
const completed = (name: keyof typeof queues, run: string) => {
  const output = { skipped: 'already_terminal', run }
  if (name === 'bullmq') return output
  return name === 'pg-boss' ? { id: '1', status: 'completed', output } : undefined
}

describe.each(Object.keys(queues) as (keyof typeof queues)[])(
  '%s completes the job of a handler that settled in its own transaction',
  (name) => {
    it('and then throws', async () => {
      const ledger = ledgerOf()
      let runId = ''
      const answer = await queues[name](ledger, `throws ${name}`, async ({ run }) => {
        runId = run.id
        await run.transaction(async () => {}, { settles: true })
        throw new Error('after the fact')
      })
      expect(answer).toEqual(completed(name, runId))
      expect(await ledger.get({ workspaceId: `throws ${name}` }, runId)).toMatchObject({
        outcome: 'succeeded',
      })
    })

    it('and is then stopped by the ledger that closes', async () => {
      const ledger = ledgerOf()
      let runId = ''
      const settled = Promise.withResolvers<void>()
      const answer = queues[name](ledger, `closes ${name}`, async ({ run, signal }) => {
        runId = run.id
        await run.transaction(async () => {}, { settles: true })
        settled.resolve()
        await new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        })
      })
      await settled.promise
      await ledger.close()
      expect(await answer).toEqual(completed(name, runId))
    })
  },
)
