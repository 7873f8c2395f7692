import { createGuard, fingerprint } from '@opsledger/dedupe'
import { describe, expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

interface Job {
  tenantId: string
  id: string
}

describe.each(['session', 'lease'] as const)('the guard alone, in %s mode', (exclusion) => {
  const delivery = (id: string, attempt = 1) => ({ id, attempt, maxAttempts: 3 })
  const protectedJob = (
    handler: (id: string, signal: AbortSignal) => Promise<string> | string,
    cooldownMs?: number,
  ) => {
    const guard = createGuard(newLedger(), { exclusion })
    return guard.protect({
      type: `mail.${exclusion}`,
      scope: (job: Job) => ({ workspaceId: 'w', tenantId: job.tenantId }),
      fingerprint: fingerprint(['id']),
      cooldownMs,
      handler: ({ payload, signal }) => handler(payload.id, signal),
    })
  }

  it('executes, cools down, and leaves no run behind', async () => {
    const send = protectedJob((id) => `sent ${id}`)
    const job = { tenantId: exclusion, id: 'cools down' }
    expect(await send(job, delivery('1'))).toEqual({
      executed: true,
      value: 'sent cools down',
      settlement: 'settled',
    })
    expect(await send(job, delivery('2'))).toMatchObject({ executed: false, reason: 'cooldown', run: null })
    const { rows } = await database.pool().query('select count(*)::int as runs from opsledger.operation_run')
    expect(rows).toEqual([{ runs: 0 }])
  })

  it('refuses a second execution in this process and in another, naming the holder', async () => {
    const started = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const send = protectedJob(async () => {
      started.resolve()
      await finish.promise
      return 'once'
    })
    const job = { tenantId: exclusion, id: 'overlaps' }
    const first = send(job, delivery('1'))
    await started.promise
    const holder = { deliveryId: '1', runId: null }
    const refused = { executed: false, reason: 'overlap', action: 'discard', holder }
    expect(await send(job, delivery('2'))).toMatchObject(refused)
    expect(await protectedJob(() => 'twice')(job, delivery('3'))).toMatchObject(refused)
    expect(await send(job, delivery('1'))).toMatchObject({ reason: 'overlap', action: 'retry_later' })
    finish.resolve()
    expect(await first).toMatchObject({ executed: true, value: 'once' })
  })

  it('rethrows what the handler throws, and never blocks the retry', async () => {
    const problem = new Error('down')
    let attempts = 0
    const send = protectedJob(() => {
      attempts += 1
      if (attempts < 3) throw problem
      return 'up again'
    })
    const job = { tenantId: exclusion, id: 'retries' }
    await expect(send(job, delivery('1', 1))).rejects.toBe(problem)
    await expect(send(job, delivery('1', 2))).rejects.toBe(problem)
    expect(await send(job, delivery('1', 3))).toMatchObject({ executed: true, value: 'up again' })
  })
})
