import { createLedger, InvalidOptionError, LedgerClosedError } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { describe, expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'

const database = useLedgerDatabase()
const newLedger = useLedgers(database)

const operationOn = (ledger = newLedger()) => {
  const guard = createGuard(ledger)
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: (_: string) => ({ workspaceId: 'w', tenantId: 't' }),
    fingerprint: (work) => work,
    guard,
    handler: () => 'done',
  })
  return { ledger, guard, operation }
}

describe('what a host may get wrong', () => {
  it('a signal that is none is refused before anything is claimed', async () => {
    const { operation } = operationOn()
    const delivery = { id: 'd1', attempt: 1, maxAttempts: 3 }
    for (const signal of [5, {}, null]) {
      const wrong = { ...delivery, signal: signal as never }
      await expect(operation('signal', wrong)).rejects.toThrow(/^delivery\.signal is .*AbortSignal/)
    }
    expect(await operation('signal', delivery)).toMatchObject({ executed: true, value: 'done' })
  })

  it('a bad delivery is refused without a database', async () => {
    const ledger = createLedger({ connection: 'postgres://127.0.0.1:1/none' })
    const { operation } = operationOn(ledger)
    await expect(operation('x', { id: '', attempt: 1, maxAttempts: 1 })).rejects.toThrow(InvalidOptionError)
    await ledger.close()
  })

  it('a closed ledger says so, whatever it is asked, and opens nothing', async () => {
    const { ledger, guard, operation } = operationOn()
    const scope = { workspaceId: 'w', tenantId: 't' }
    await ledger.list(scope)
    await ledger.close()
    const job = operation.identify('closed')
    const asked = [
      () => ledger.list(scope),
      () => ledger.get(scope, '018f0000-0000-7000-8000-000000000000'),
      () => ledger.openRuns(scope),
      () => ledger.sweep(),
      () => ledger.prune({ runsOlderThanMs: 1 }),
      () => ledger.ready(),
      () => operation.open('closed'),
      () => operation('closed', { id: 'd', attempt: 1, maxAttempts: 1 }),
      () => guard.explain(job),
      () => guard.release(job),
    ]
    for (const ask of asked) await expect(ask()).rejects.toThrow(LedgerClosedError)
  })

  it('an option that does not exist is named', () => {
    const ledger = newLedger()
    const wrong = { leaseMS: 2000 } as object
    expect(() => createLedger({ connection: database.url, ...wrong })).toThrow(/leaseMS \(of createLedger\)/)
    expect(() => createGuard(ledger, { cooldown: 1 } as object)).toThrow(/cooldown \(of createGuard\)/)
    const operation = { type: 't', scope: () => ({ workspaceId: 'w' }), fingerprint: () => 'x', handler() {} }
    expect(() => ledger.operation({ ...operation, ...({ nope: 1 } as object) })).toThrow(
      /nope \(of operation\)/,
    )
  })

  it.each(['', 'mysql://127.0.0.1/x', 'localhost'])('%j is no connection', (connection) => {
    expect(() => createLedger({ connection })).toThrow(/^connection is "\(not shown\)".*postgres:\/\//)
  })
})
