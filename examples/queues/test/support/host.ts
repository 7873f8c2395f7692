import {
  createLedger,
  type HandlerContext,
  type Ledger,
  migrate,
  type Operation,
  type Run,
} from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { useDatabase } from '@opsledger/testing/vitest'
import { onTestFinished } from 'vitest'

export interface Payload {
  readonly key: string
}

export interface TestWorker {
  readonly ledger: Ledger
  readonly operation: Operation<Payload, string>
  /** How often its handler was called. */
  readonly executions: () => number
}

const SCOPE = { workspaceId: 'w' }

/** The one operation of these tests, as each of their processes declares it. */
export function declareWork(ledger: Ledger, handler: (context: HandlerContext<Payload>) => unknown) {
  return ledger.operation({
    type: 'test.work',
    scope: (_: Payload) => SCOPE,
    fingerprint: ({ key }: Payload) => key,
    guard: createGuard(ledger),
    handler: async (context): Promise<string> => {
      await handler(context)
      return `done ${context.payload.key}`
    },
  })
}

export function useHost() {
  const database = useDatabase({
    template: 'queues',
    prepare: async (url) => {
      await migrate({ connection: url, with: [migrations] })
    },
  })

  /** As another worker process has it: with a ledger and a guard of its own. */
  function createWorker(handler: (context: HandlerContext<Payload>) => unknown = () => {}): TestWorker {
    const ledger = createLedger({ connection: database.url })
    onTestFinished(() => ledger.close({ withinMs: 500 }))
    let executions = 0
    const operation = declareWork(ledger, (context) => {
      executions++
      return handler(context)
    })
    return { ledger, operation, executions: () => executions }
  }

  return {
    database,
    createWorker,
    /** A worker that executes this delivery until it is released. */
    async hold(payload: Payload, deliveryId: string): Promise<{ release: () => Promise<void> }> {
      const started = Promise.withResolvers<void>()
      const released = Promise.withResolvers<void>()
      const { operation } = createWorker(() => {
        started.resolve()
        return released.promise
      })
      const held = operation(payload, { id: deliveryId, attempt: 1, maxAttempts: 1 })
      await Promise.race([started.promise, held])
      return {
        async release() {
          released.resolve()
          await held
        },
      }
    },
    /** The runs of this delivery, newest first. */
    async runsOf(deliveryId: string): Promise<readonly Run[]> {
      const { ledger } = createWorker()
      return (await ledger.list(SCOPE, { deliveryId })).runs
    },
    async cooldownOf(runId: string): Promise<Date | null> {
      const { rows } = await database
        .pool()
        .query('select cooldown_until from opsledger.job_claim where run_id = $1', [runId])
      return rows[0]?.cooldown_until ?? null
    },
  }
}
