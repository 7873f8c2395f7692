import { createGuard } from '@opsledger/dedupe'
import { describe, expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'
import { scriptedWorker } from './support/scripted-worker.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

interface Work {
  name: string
  runId?: string
}

describe.each(['session', 'lease'] as const)('in %s mode', (exclusion) => {
  const operationOn = (ledger = newLedger()) => ({
    ledger,
    operation: ledger.operation({
      type: 'assignment.fetch',
      scope: (_: Work) => ({ workspaceId: 'w', tenantId: exclusion }),
      runId: ({ runId }) => runId,
      fingerprint: ({ name }) => name,
      guard: createGuard(ledger, { exclusion }),
      handler: () => 'done',
    }),
  })

  it.each(['the same delivery', 'another delivery'])(
    'work opened at dispatch, delivered without its run id and lost, is reopened by %s',
    async (which) => {
      const { ledger, operation } = operationOn()
      const work = { name: `opened and lost, met by ${which}` }
      const { run } = await operation.open(work)
      const worker = await scriptedWorker(database.pool())
      expect((await worker.admit(operation.identify(work), 'first')).runId).toBe(run.id)
      await worker.expire()
      expect((await ledger.sweep()).map(({ id }) => id)).toEqual([run.id])

      const id = which === 'the same delivery' ? 'first' : 'second'
      const verdict = await operation(work, { id, attempt: 1, maxAttempts: 3 })
      expect(verdict).toMatchObject({ executed: true, run: { id: run.id, attempt: 2, outcome: 'succeeded' } })
    },
  )
})
