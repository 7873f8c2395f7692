import { randomUUID } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { LedgerEventName, LedgerEvents } from '@opsledger/core'
import type { Guard } from '@opsledger/core/guard'
import { eventually } from '@opsledger/testing'
import { startWorker } from '@opsledger/testing/vitest'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createLatch, delivery, useCoreDatabase, useLedgers } from './support/ledger.ts'

const database = useCoreDatabase()
const ledgerOf = useLedgers(database)

/** Each name, so that one more of them fails to compile here until it is tested. */
const CHANNELS: Record<LedgerEventName, true> = {
  'opsledger:run.opened': true,
  'opsledger:run.admitted': true,
  'opsledger:run.skipped': true,
  'opsledger:run.settled': true,
  'opsledger:run.aborted': true,
  'opsledger:run.swept': true,
  'opsledger:term.registered': true,
  'opsledger:term.lost': true,
  'opsledger:lock_session.lost': true,
  'opsledger:lock_session.restored': true,
  'opsledger:database.error': true,
}

type Heard = { [N in LedgerEventName]: { name: N; message: LedgerEvents[N] } }[LedgerEventName]
let heard: Heard[]

beforeEach(() => {
  heard = []
  for (const name of Object.keys(CHANNELS)) {
    const listen = (message: unknown) => void heard.push({ name, message } as Heard)
    subscribe(name, listen)
    onTestFinished(() => void unsubscribe(name, listen))
  }
})

const SCOPE = { workspaceId: 'w1', tenantId: 't1' }
const PAYLOAD = { work: 'payload-of-the-host', apiKey: 'sk-live-4f9a8b7c6d5e4f3a2b1c' }

function operationOf(
  ledger: ReturnType<typeof ledgerOf>,
  handler: (payload: typeof PAYLOAD) => unknown = () => 'done',
  guard?: Guard,
) {
  return ledger.operation({
    type: 'assignment.fetch',
    scope: (_: typeof PAYLOAD) => SCOPE,
    fingerprint: ({ work }) => work,
    guard,
    handler: ({ payload, counts }) => {
      counts.setTotal(2)
      counts.itemFailed('provider.rejected')
      counts.itemSucceeded()
      return handler(payload)
    },
  })
}

test('an operation tells of its term, its admission and its settlement, in this order and with its fields', async () => {
  const operation = operationOf(ledgerOf())
  const verdict = await operation(PAYLOAD, delivery('d1'))
  if (!verdict.executed) throw new Error('it was refused')
  const { run } = verdict
  const fields = {
    schema: 'opsledger',
    type: 'assignment.fetch',
    scope: SCOPE,
    deliveryId: 'd1',
    runId: run.id,
    attempt: 1,
    fence: run.fence,
  }
  expect(heard).toEqual([
    {
      name: 'opsledger:term.registered',
      message: { schema: 'opsledger', workerId: run.workerId, previousWorkerId: null },
    },
    { name: 'opsledger:run.admitted', message: fields },
    {
      name: 'opsledger:run.settled',
      message: {
        ...fields,
        settlement: {
          status: 'completed',
          outcome: 'partially_succeeded',
          counts: { total: 2, processed: 2, failed: 1 },
          itemFailures: { 'provider.rejected': 1 },
          reasonCode: null,
          message: null,
          startsCooldown: true,
        },
        answer: 'settled',
        durationMs: expect.any(Number),
      },
    },
  ])
})

test('opening a run tells of the run and of what stood there', async () => {
  const operation = operationOf(ledgerOf())
  const payload = { ...PAYLOAD, work: 'to-be-opened' }
  const { run } = await operation.open(payload)
  await operation.open(payload)
  expect(heard).toEqual([
    { name: 'opsledger:run.opened', message: { schema: 'opsledger', run, state: 'opened' } },
    { name: 'opsledger:run.opened', message: { schema: 'opsledger', run, state: 'already_open' } },
  ])
})

test('a delivery that a guard refuses is told with the refusal, and nothing of an execution', async () => {
  const refusal = {
    executed: false,
    reason: 'overlap',
    action: 'discard',
    retryAfterMs: 5,
    holder: null,
    run: null,
  } as const
  const ledger = ledgerOf()
  const refusing = {
    ledger,
    excludes: true,
    cooldownMs: 0,
    admit: async () => ({ admitted: false, refusal }),
  } as unknown as Guard
  const operation = operationOf(ledger, undefined, refusing)
  expect(await operation(PAYLOAD, delivery('refused-1'))).toEqual(refusal)
  expect(heard).toEqual([
    {
      name: 'opsledger:run.skipped',
      message: {
        schema: 'opsledger',
        type: 'assignment.fetch',
        scope: SCOPE,
        deliveryId: 'refused-1',
        runId: null,
        refusal,
      },
    },
  ])
})

test('a term that was retired is told with the new one, and every execution that was taken meanwhile', async () => {
  const latch = createLatch()
  const ledger = ledgerOf({ leaseMs: 500 })
  const payload = { ...PAYLOAD, work: 'to-be-taken' }
  const verdict = operationOf(ledger, latch.hold)(payload, delivery('taken-1'))
  await latch.entered
  const [run] = await ledger.openRuns(SCOPE, { type: 'assignment.fetch' })
  const taken = (await ledger.acrossTenants.list('w1', { deliveryId: 'taken-1' })).runs[0]!
  // Another worker executes the run, and this one's lease is retired.
  await operationOf(ledgerOf())(payload, delivery('taken-2'))
  await database
    .pool()
    .query('update opsledger.worker_lease set retired_at = clock_timestamp() where id = $1', [taken.workerId])
  await eventually(() => expect(heard.map(({ name }) => name)).toContain('opsledger:run.aborted'))
  latch.leave()
  expect(await verdict).toMatchObject({ settlement: 'superseded' })
  expect(run?.id).toBeDefined()

  const own = heard.filter(
    ({ name, message }) =>
      /term|aborted/.test(name) && !('previousWorkerId' in message && message.previousWorkerId === null),
  )
  expect(own.slice(0, 3)).toEqual([
    {
      name: 'opsledger:term.lost',
      message: { schema: 'opsledger', workerId: taken.workerId, why: expect.stringMatching(/retired/) },
    },
    {
      name: 'opsledger:term.registered',
      message: { schema: 'opsledger', workerId: expect.any(String), previousWorkerId: taken.workerId },
    },
    {
      name: 'opsledger:run.aborted',
      message: { schema: 'opsledger', runId: taken.id, fence: taken.fence, code: 'claim_lost' },
    },
  ])
})

test('a sweep tells of every run that it closes', async () => {
  const workerId = randomUUID()
  await database.pool().query(
    `with lease as (
       insert into opsledger.worker_lease (id, host, pid, started_at, expires_at)
       values ($1, 'h', 1, clock_timestamp(), clock_timestamp()) returning id
     )
     insert into opsledger.operation_run
       (id, identity, work_key, workspace_id, type, status, attempt, fence, worker_id, started_at, delivery_id,
        delivery_attempt, delivery_maximum)
     select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'swept', 'a.b', 'running', 1, 1, id, now(), 'd',
       1, 1 from lease, generate_series(1, 3)`,
    [workerId],
  )
  const runs = await ledgerOf().sweep({ workspaceId: 'swept' })
  expect(runs).toHaveLength(3)
  expect(heard).toEqual(
    runs.map((run) => ({ name: 'opsledger:run.swept', message: { schema: 'opsledger', run } })),
  )
})

test('a statement that fails is told by its name and SQLSTATE', async () => {
  const pool = database.pool()
  const operation = operationOf(ledgerOf())
  await pool.query('alter function opsledger.open_run(jsonb) rename to was_open_run')
  onTestFinished(async () => {
    await pool.query('alter function opsledger.was_open_run(jsonb) rename to open_run')
  })
  await expect(operation.open(PAYLOAD)).rejects.toThrow(/does not exist/)
  expect(heard).toEqual([
    {
      name: 'opsledger:database.error',
      message: { schema: 'opsledger', operation: 'open_run', code: '42883', willRetry: false },
    },
  ])
})

test('no message holds a payload, a secret of the connection or of the host, or what was thrown', async () => {
  const { password } = new URL(database.url)
  const ledger = ledgerOf({ secrets: ['the-host-knows-this-one'] })
  const operation = operationOf(ledger, (payload) => {
    throw Object.assign(
      new Error(`key ${payload.apiKey} and the-host-knows-this-one on postgres://app:${password}@db/x`),
      { payload, config: { headers: { authorization: 'Bearer abcdefghijklmnop123' } } },
    )
  })
  const payload = { ...PAYLOAD, work: 'payload-that-fails' }
  await operation.open(payload)
  await expect(operation(payload, delivery('secret-1', 1, 3))).rejects.toThrow('the-host-knows-this-one')
  await expect(operation(payload, delivery('secret-1', 3, 3))).rejects.toThrow('the-host-knows-this-one')
  await ledger.close()
  expect(heard.map(({ name }) => name).filter((name) => name === 'opsledger:run.settled')).toHaveLength(2)
  const text = JSON.stringify(heard)
  for (const secret of [
    PAYLOAD.apiKey,
    payload.work,
    'the-host-knows-this-one',
    ...(password === '' ? [] : [password]),
    'Bearer',
    'authorization',
  ]) {
    expect(text).not.toContain(secret)
  }
})

describe('a subscriber that throws or rejects', () => {
  test('harms nothing: a host full of them works, settles and exits with 0', async () => {
    const worker = startWorker(new URL('./support/events-process.ts', import.meta.url), {
      args: [database.url],
    })
    const report = await worker.next<{ runId: string; verdict: object; failure: string; heard: string[] }>()
    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(worker.stderr).toBe('')
    expect(report.verdict).toMatchObject({ executed: true, value: 'works', settlement: 'settled' })
    expect(report.failure).toBe('Error: the handler failed')
    expect(report.heard.map((name) => name.replace('opsledger:', ''))).toEqual([
      'run.opened',
      'term.registered',
      'run.admitted',
      'run.settled',
      'run.admitted',
      'run.settled',
    ])
    const { runs } = await ledgerOf().list({ workspaceId: 'events-process' })
    expect(runs.map(({ outcome }) => outcome)).toEqual(['failed', 'succeeded'])
  })

  test('keeps none of the others from hearing', async () => {
    const throwing = () => {
      throw new Error('broken')
    }
    subscribe('opsledger:run.opened', throwing)
    onTestFinished(() => void unsubscribe('opsledger:run.opened', throwing))
    let after = 0
    const counting = () => void after++
    subscribe('opsledger:run.opened', counting)
    onTestFinished(() => void unsubscribe('opsledger:run.opened', counting))
    await operationOf(ledgerOf()).open({ ...PAYLOAD, work: 'heard-by-all' })
    expect(after).toBe(1)
    expect(heard).toHaveLength(1)
  })
})
