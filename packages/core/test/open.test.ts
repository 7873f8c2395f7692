import { randomUUID } from 'node:crypto'
import { LedgerClosedError, ScopeMismatchError } from '@opsledger/core'
import { waitUntilBlocked } from '@opsledger/testing'
import { expect, test } from 'vitest'
import { createLatch, delivery, useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

interface Payload {
  workspaceId: string
  tenantId?: string
  runId?: string
  work?: string
}

function newDispatcher(handler: () => unknown = () => 'done') {
  const ledger = ledgerOf()
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: ({ workspaceId, tenantId = 't1' }: Payload) => ({ workspaceId, tenantId }),
    runId: ({ runId }) => runId,
    fingerprint: ({ work = 'f' }) => work,
    context: ({ work }) => ({ work: work ?? null }),
    handler,
  })
  return { ledger, operation }
}
const scopeOf = (workspaceId: string) => ({ workspaceId, tenantId: 't1' })
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7/

test('opening work makes a queued run with an id of ours, its context and nothing of an attempt', async () => {
  const { ledger, operation } = newDispatcher()
  const { run, state } = await operation.open({ workspaceId: 'new', work: 'x' })
  expect(state).toBe('opened')
  expect(run).toMatchObject({
    id: expect.stringMatching(UUID_V7),
    scope: scopeOf('new'),
    type: 'assignment.fetch',
    status: 'queued',
    outcome: 'pending',
    attempt: 0,
    fence: null,
    workerId: null,
    delivery: null,
    counts: null,
    context: { work: 'x' },
    pastAttempts: [],
    startedAt: null,
    completedAt: null,
  })
  expect(await ledger.get(scopeOf('new'), run.id)).toEqual(run)
})

test("a host's own run id is kept, of whatever version", async () => {
  const runId = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
  const { run } = await newDispatcher().operation.open({ workspaceId: 'own-id', runId: runId.toUpperCase() })
  expect(run.id).toBe(runId)
})

test('work that is open already is told with its run, whoever asks and whatever run id they bring', async () => {
  const { operation } = newDispatcher()
  const { run } = await operation.open({ workspaceId: 'open' })
  for (const payload of [
    { workspaceId: 'open' },
    { workspaceId: 'open', runId: randomUUID() },
    { workspaceId: 'open', runId: run.id },
  ]) {
    expect(await newDispatcher().operation.open(payload)).toEqual({ run, state: 'already_open' })
  }
})

test('dispatchers that open one work at once get one run, and one of them opened it', async () => {
  const dispatchers = Array.from({ length: 8 }, () => newDispatcher())
  const gate = await database.pool().connect()
  await gate.query('begin')
  await gate.query('lock table opsledger.operation_run in share mode')
  const opening = dispatchers.map(({ operation }) => operation.open({ workspaceId: 'at-once' }))
  await waitUntilBlocked(database.pool(), { count: dispatchers.length })
  await gate.query('commit')
  gate.release()
  const opened = await Promise.all(opening)
  expect(new Set(opened.map(({ run }) => run.id)).size).toBe(1)
  expect(opened.map(({ state }) => state).sort()).toEqual([...Array(7).fill('already_open'), 'opened'])
})

test('a run in execution is open; a named run that has ended exists, and is left as it is', async () => {
  const latch = createLatch()
  const { ledger, operation } = newDispatcher(latch.hold)
  const payload = { workspaceId: 'executing', runId: randomUUID() }
  const verdict = operation(payload, delivery('d1'))
  await latch.entered
  expect(await operation.open(payload)).toMatchObject({ state: 'already_open', run: { status: 'running' } })
  latch.leave()
  await verdict
  const ended = await ledger.get(scopeOf('executing'), payload.runId)
  expect(await operation.open(payload)).toEqual({ state: 'exists', run: ended })
  expect(await operation.open({ workspaceId: 'executing' })).toMatchObject({ state: 'opened' })
})

test('work of another tenant, type or fingerprint is other work', async () => {
  const { operation } = newDispatcher()
  const payloads = [
    { workspaceId: 'other' },
    { workspaceId: 'other', tenantId: 't2' },
    { workspaceId: 'other2' },
    { workspaceId: 'other', work: 'g' },
  ]
  for (const payload of payloads) expect((await operation.open(payload)).state).toBe('opened')
})

test('a run id of another scope is refused, and nothing of that run is told', async () => {
  const { operation } = newDispatcher()
  const { run } = await operation.open({ workspaceId: 'mine' })
  for (const payload of [{ workspaceId: 'mine', tenantId: 't2' }, { workspaceId: 'theirs' }]) {
    const opening = operation.open({ ...payload, runId: run.id })
    await expect(opening).rejects.toBeInstanceOf(ScopeMismatchError)
    await expect(opening).rejects.toThrow(
      `Run ${run.id} does not belong to the scope and type of this delivery`,
    )
  }
})

test('a delivery executes the run that was opened for it, with or without its id', async () => {
  for (const withId of [true, false]) {
    const { operation } = newDispatcher()
    const payload = { workspaceId: `delivered-${withId}` }
    const { run } = await operation.open(payload)
    const verdict = await operation({ ...payload, runId: withId ? run.id : undefined }, delivery('d1'))
    expect(verdict).toMatchObject({ executed: true, run: { id: run.id, attempt: 1, identity: run.identity } })
  }
})

test('a closed ledger opens nothing', async () => {
  const { ledger, operation } = newDispatcher()
  await ledger.close()
  await expect(operation.open({ workspaceId: 'closed' })).rejects.toBeInstanceOf(LedgerClosedError)
})
