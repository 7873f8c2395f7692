import { randomUUID } from 'node:crypto'
import { ScopeMismatchError } from '@opsledger/core'
import { describe, expect, test } from 'vitest'
import { createLatch, delivery, useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

interface Payload {
  workspaceId: string
  tenantId?: string
  runId?: string
}
interface Step {
  items: number
  fails?: number
  hold?: () => Promise<unknown>
  throws?: Error
}

/** A worker of its own, with a term of its own, whose handler counts as the step says. */
function newWorker(step: Step) {
  const ledger = ledgerOf()
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: ({ workspaceId, tenantId = 't1' }: Payload) => ({ workspaceId, tenantId }),
    runId: ({ runId }) => runId,
    fingerprint: () => 'f',
    handler: async ({ counts, run }) => {
      counts.itemSucceeded(step.items)
      if (step.fails !== undefined) counts.itemFailed('provider.rejected', step.fails)
      await step.hold?.()
      if (step.throws !== undefined) throw step.throws
      return run.attempt
    },
  })
  return { ledger, operation }
}
const scopeOf = (workspaceId: string) => ({ workspaceId, tenantId: 't1' })

describe('without a guard nothing is refused', () => {
  test('two deliveries of one work execute at the same time, and the later one has the run', async () => {
    const payload = { workspaceId: 'overlap' }
    const [first, second] = [createLatch(), createLatch()]
    const earlier = newWorker({ items: 1, fails: 7, hold: first.hold }).operation(payload, delivery('d1'))
    await first.entered
    const later = newWorker({ items: 20, hold: second.hold }).operation(payload, delivery('d2'))
    await second.entered
    second.leave()
    const won = await later
    first.leave()
    const lost = await earlier

    expect(won).toMatchObject({ executed: true, value: 2, settlement: 'settled' })
    expect(lost).toMatchObject({ executed: true, value: 1, settlement: 'superseded' })
    const { runs } = await ledgerOf().list(scopeOf('overlap'))
    expect(runs).toMatchObject([
      {
        outcome: 'succeeded',
        attempt: 2,
        delivery: { id: 'd2' },
        counts: { total: 20, processed: 20, failed: 0 },
        itemFailures: {},
        pastAttempts: [{ attempt: 1, outcome: 'lost', reasonCode: 'claim.lost', deliveryId: 'd1' }],
      },
    ])
    if (won.executed) expect(runs[0]?.fence).toBe(won.run.fence)
  })

  test('an earlier attempt that settles first is superseded as well: only the highest fence counts', async () => {
    const payload = { workspaceId: 'earlier-first' }
    const [first, second] = [createLatch(), createLatch()]
    const earlier = newWorker({ items: 1, hold: first.hold }).operation(payload, delivery('d1'))
    await first.entered
    const later = newWorker({ items: 20, hold: second.hold }).operation(payload, delivery('d2'))
    await second.entered
    first.leave()
    expect(await earlier).toMatchObject({ settlement: 'superseded' })
    const ledger = ledgerOf()
    expect((await ledger.list(scopeOf('earlier-first'))).runs).toMatchObject([
      { status: 'running', outcome: 'pending', counts: null },
    ])
    second.leave()
    expect(await later).toMatchObject({ settlement: 'settled' })
    expect((await ledger.list(scopeOf('earlier-first'))).runs).toMatchObject([
      { outcome: 'succeeded', counts: { total: 20, processed: 20, failed: 0 } },
    ])
  })

  test('what a superseded handler threw is thrown all the same, and changes nothing', async () => {
    const payload = { workspaceId: 'thrower' }
    const first = createLatch()
    const throws = new Error('too late')
    const earlier = newWorker({ items: 1, hold: first.hold, throws }).operation(payload, delivery('d1'))
    await first.entered
    await newWorker({ items: 3 }).operation(payload, delivery('d2'))
    first.leave()
    await expect(earlier).rejects.toBe(throws)
    expect((await ledgerOf().list(scopeOf('thrower'))).runs).toMatchObject([
      { outcome: 'succeeded', reasonCode: null, counts: { total: 3 } },
    ])
  })

  test('finished work executes again at once, as a run of its own', async () => {
    const { ledger, operation } = newWorker({ items: 1 })
    const payload = { workspaceId: 'again' }
    const verdicts = [await operation(payload, delivery('d1')), await operation(payload, delivery('d1'))]
    expect(verdicts).toMatchObject([{ executed: true }, { executed: true }])
    expect((await ledger.list(scopeOf('again'))).runs).toMatchObject([{ attempt: 1 }, { attempt: 1 }])
  })

  test('a finished run that is named executes again as its next attempt, the counts replaced, none added', async () => {
    const runId = randomUUID()
    const payload = { workspaceId: 'renamed', runId }
    await newWorker({ items: 10, fails: 2 }).operation(payload, delivery('d1'))
    const { ledger, operation } = newWorker({ items: 4 })
    await operation(payload, delivery('d2'))
    expect((await ledger.list(scopeOf('renamed'))).runs).toMatchObject([
      {
        id: runId,
        attempt: 2,
        counts: { total: 4, processed: 4, failed: 0 },
        itemFailures: {},
        pastAttempts: [
          { attempt: 1, outcome: 'partially_succeeded', counts: { total: 12, processed: 12, failed: 2 } },
        ],
      },
    ])
  })
})

test('a retry continues the run of its work: one run, one attempt more, the failed one in its history', async () => {
  const payload = { workspaceId: 'retry' }
  const throws = new Error('not yet')
  await expect(newWorker({ items: 5, throws }).operation(payload, delivery('d1', 1, 2))).rejects.toBe(throws)
  const { ledger, operation } = newWorker({ items: 2 })
  expect((await ledger.list(scopeOf('retry'))).runs).toMatchObject([
    { status: 'retrying', outcome: 'pending', completedAt: null, counts: { total: 5 } },
  ])
  await operation(payload, delivery('d1', 2, 2))
  expect((await ledger.list(scopeOf('retry'))).runs).toMatchObject([
    {
      status: 'completed',
      outcome: 'succeeded',
      attempt: 2,
      reasonCode: null,
      message: null,
      counts: { total: 2, processed: 2, failed: 0 },
      pastAttempts: [{ attempt: 1, outcome: 'failed', message: 'not yet', counts: { total: 5 } }],
    },
  ])
})

test('a delivery that names a run while another run of its work is open executes that one; its own is skipped', async () => {
  const { ledger, operation } = newWorker({ items: 1 })
  const { run } = await operation.open({ workspaceId: 'canonical' })
  const runId = randomUUID()
  const verdict = await operation({ workspaceId: 'canonical', runId }, delivery('d1'))
  expect(verdict).toMatchObject({ executed: true, run: { id: run.id } })
  expect(await ledger.get(scopeOf('canonical'), runId)).toMatchObject({
    status: 'completed',
    outcome: 'skipped',
    reasonCode: 'run.not_canonical',
    canonicalRunId: run.id,
    counts: { total: 0, processed: 0, failed: 0 },
    attempt: 0,
  })
})

test.each([
  ['another tenant', { workspaceId: 'scoped', tenantId: 't2' }],
  ['another workspace', { workspaceId: 'elsewhere', tenantId: 't1' }],
])('a run of %s is not touched by a delivery that names it', async (_, other) => {
  const runId = randomUUID()
  const { operation, ledger } = newWorker({ items: 1 })
  await operation({ workspaceId: 'scoped', runId }, delivery('d1'))
  const before = await ledger.get(scopeOf('scoped'), runId)
  await expect(operation({ ...other, runId }, delivery('d2'))).rejects.toBeInstanceOf(ScopeMismatchError)
  expect(await ledger.get(scopeOf('scoped'), runId)).toEqual(before)
})

test('a system job needs a guard that excludes', () => {
  const { ledger } = newWorker({ items: 1 })
  const options = { type: 'a.b', workspaceId: () => 'w1', handler: () => {} }
  expect(() => ledger.systemJob(options as never)).toThrow(/guard is .*; allowed: a guard that excludes/)
})
