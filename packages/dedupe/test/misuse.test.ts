import { createLedger, InvalidOptionError, type Ledger, LedgerClosedError, migrate } from '@opsledger/core'
import { createGuard, fingerprint } from '@opsledger/dedupe'
import { migrations } from '@opsledger/dedupe/migrations'
import { waitUntilBlocked } from '@opsledger/testing'
import { useDatabase } from '@opsledger/testing/vitest'
import { describe, expect, it } from 'vitest'
import { useLedgerDatabase, useLedgers } from './support/ledger.ts'
import { SUCCEEDED } from './support/settlements.ts'

const database = useLedgerDatabase()
const empty = useDatabase()
const newLedger = useLedgers(database)

const operationOn = (ledger = newLedger(), handler: (signal: AbortSignal) => unknown = () => 'done') => {
  const guard = createGuard(ledger)
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: (_: string) => ({ workspaceId: 'w', tenantId: 't' }),
    fingerprint: (work) => work,
    guard,
    handler: ({ signal }) => handler(signal),
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
    expect(() => createLedger({ connection: database.url, ...wrong })).toThrow(
      /^leaseMS is not an option of createLedger; did you mean leaseMs\?/,
    )
    expect(() => createGuard(ledger, { cooldown: 1 } as object)).toThrow(
      /^cooldown is not an option of createGuard; did you mean cooldownMs\?/,
    )
    const operation = { type: 't', scope: () => ({ workspaceId: 'w' }), fingerprint: () => 'x', handler() {} }
    expect(() => ledger.operation({ ...operation, ...({ nope: 1 } as object) })).toThrow(
      /^nope is not an option of operation; allowed: /,
    )
  })

  it.each(['', 'mysql://127.0.0.1/x', 'localhost'])('%j is no connection', (connection) => {
    expect(() => createLedger({ connection })).toThrow(/^connection is "\(not shown\)".*postgres:\/\//)
  })
})

describe('a guard', () => {
  it('of another ledger is refused, whatever the two have in common', () => {
    const mine = newLedger()
    const others: Ledger[] = [
      newLedger(),
      newLedger({ schema: 'other_schema' }),
      createLedger({ connection: empty.url }),
      createLedger({ pool: { options: { connectionString: database.url } } }),
    ]
    for (const other of others) {
      for (const guard of [createGuard(other), { ...createGuard(other), cooldownMs: 1 }]) {
        const common = { type: 'a.b', guard, handler: () => {} }
        const operation = { ...common, scope: () => ({ workspaceId: 'w' }), fingerprint: () => 'x' }
        const refused = /^guard was made for another ledger/
        expect(() => mine.operation(operation)).toThrow(refused)
        expect(() => mine.systemJob({ ...common, workspaceId: () => 'w' })).toThrow(refused)
      }
    }
    expect(createGuard(mine).ledger).toBe(mine)
  })

  it.each([undefined, null, {}, 'postgres://app:sesame-open@127.0.0.1/app'])('of %j is refused', (ledger) => {
    const create = () => createGuard(ledger as never)
    expect(create).toThrow(/^ledger is .*; allowed: what `createLedger` returned/)
    expect(create).not.toThrow(/sesame-open/)
  })

  it.each([undefined, null, 'work', {}])(
    'is asked about %j, which is no job, without a database',
    async (job) => {
      const guard = createGuard(createLedger({ connection: 'postgres://127.0.0.1:1/none' }))
      await expect(guard.explain(job as never)).rejects.toThrow(/^job is .*; allowed: .*`identify`/)
      await expect(guard.release(job as never)).rejects.toThrow(/^job is /)
    },
  )

  it('used before its migrations ran names the command, and works once they have run', async () => {
    await migrate({ connection: empty.url })
    const { guard, operation } = operationOn(newLedger({ connection: empty.url }))
    const job = operation.identify('early')
    const delivery = { id: 'd1', attempt: 1, maxAttempts: 1 }
    const send = guard.protect({
      type: 'a.b',
      scope: () => ({ workspaceId: 'w' }),
      fingerprint: () => 'x',
      handler: () => 'sent',
    })
    const asked = [
      () => operation('early', delivery),
      () => operation.open('early'),
      () => send({}, delivery),
      () => guard.explain(job),
      () => guard.release(job),
    ]
    for (const ask of asked) {
      await expect(ask()).rejects.toThrow(/Run `npx opsledger migrate --with @opsledger\/dedupe`/)
    }
    await migrate({ connection: empty.url, with: [migrations] })
    expect(await operation('early', delivery)).toMatchObject({ executed: true })
    expect(await send({}, delivery)).toMatchObject({ executed: true })
  })

  it('of a ledger that is closed, made before or after, says so and opens nothing', async () => {
    const ledger = newLedger()
    await operationOn(ledger).operation('before', { id: 'd1', attempt: 1, maxAttempts: 1 })
    await Promise.all([ledger.close(), ledger.close()])
    const { guard, operation } = operationOn(ledger)
    const send = guard.protect({
      type: 'a.b',
      scope: () => ({ workspaceId: 'w' }),
      fingerprint: () => 'x',
      handler: () => {},
    })
    const delivery = { id: 'd2', attempt: 1, maxAttempts: 1 }
    const asked = [
      () => operation('after', delivery),
      () => send({}, delivery),
      () => guard.explain(operation.identify('after')),
    ]
    for (const ask of asked) await expect(ask()).rejects.toThrow(LedgerClosedError)
  })

  it('told of one settlement twice says that it has it already', async () => {
    const { ledger, guard, operation } = operationOn()
    await ledger.ready()
    const delivery = { id: 'd1', attempt: 1, maxAttempts: 1 }
    const job = operation.identify('twice')
    const newRunId = '018f0000-0000-7000-8000-000000000001'
    const admission = await guard.admit({ job, newRunId, delivery, context: null })
    if (!admission.admitted) throw new Error('It was refused.')
    expect(await guard.settle(admission.claim, SUCCEEDED, 60_000)).toMatchObject({ answer: 'settled' })
    const again = { ...SUCCEEDED, counts: { total: 9, processed: 9, failed: 9 } }
    expect(await guard.settle(admission.claim, again, 60_000)).toMatchObject({ answer: 'already_settled' })
    const run = await ledger.get({ workspaceId: 'w', tenantId: 't' }, newRunId)
    expect(run).toMatchObject({ outcome: 'succeeded', counts: { total: 1, processed: 1, failed: 0 } })
  })
})

describe('the guard alone', () => {
  const protectOn = (ledger: Ledger, handler: () => unknown = () => 'sent') =>
    createGuard(ledger).protect({
      type: 'mail',
      scope: (_: { id: unknown }) => ({ workspaceId: 'w', tenantId: 'mail' }),
      fingerprint: ({ id }) => id as string,
      handler,
    })
  const delivery = { id: 'd1', attempt: 1, maxAttempts: 1 }

  it('refuses a fingerprint that is none: all work would be the same', async () => {
    const send = protectOn(createLedger({ connection: 'postgres://127.0.0.1:1/none' }))
    for (const id of [Promise.resolve('x'), 5, '', null, {}]) {
      await expect(send({ id }, delivery)).rejects.toThrow(/^fingerprint is .*; allowed: .*non-empty string/)
    }
    await expect(send({ id: undefined }, delivery)).rejects.toMatchObject({ code: 'missing_identity' })
  })

  it('begins nothing for a signal that is aborted, without a round trip', async () => {
    const reason = new Error('stop')
    const send = protectOn(createLedger({ connection: 'postgres://127.0.0.1:1/none' }))
    await expect(send({ id: 'x' }, { ...delivery, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('nor for one that aborts while it is admitted; the claim is free at once', async () => {
    let begun = 0
    const send = protectOn(newLedger(), () => {
      begun += 1
    })
    await send({ id: 'warm' }, delivery)
    const blocker = await database.pool().connect()
    await blocker.query('begin; lock table opsledger.job_claim in exclusive mode')
    const controller = new AbortController()
    const delivered = send({ id: 'x' }, { ...delivery, signal: controller.signal }).catch((e: unknown) => e)
    await waitUntilBlocked(database.pool())
    controller.abort('stop')
    await blocker.query('rollback')
    blocker.release()
    expect(await delivered).toBe('stop')
    expect(begun).toBe(1)
    const elsewhere = protectOn(newLedger())
    expect(await elsewhere({ id: 'x' }, delivery)).toMatchObject({ executed: true, value: 'sent' })
  })
})

describe('an operation with a guard', () => {
  it('that is aborted while it is admitted leaves its claim free, without a cooldown', async () => {
    const { operation } = operationOn()
    await operation('warm', { id: 'warm', attempt: 1, maxAttempts: 1 })
    const blocker = await database.pool().connect()
    await blocker.query('begin; lock table opsledger.job_claim in exclusive mode')
    const controller = new AbortController()
    const delivery = { id: 'd1', attempt: 1, maxAttempts: 1 }
    const delivered = operation
      .conclude('aborted', { ...delivery, signal: controller.signal })
      .catch((error: unknown) => error)
    await waitUntilBlocked(database.pool())
    controller.abort('stop')
    await blocker.query('rollback')
    blocker.release()
    expect(await delivered).toMatchObject({ threw: true, error: 'stop', isHandedBack: true })
    const elsewhere = operationOn()
    expect(await elsewhere.operation('aborted', { ...delivery, id: 'd2' })).toMatchObject({ executed: true })
  })

  it('takes every part of an identity that can be kept, and refuses the others before it writes', async () => {
    const ledger = newLedger()
    const operation = ledger.operation({
      type: 'assignment.fetch',
      scope: (_: { part: string }) => ({ workspaceId: 'w', tenantId: 'parts' }),
      fingerprint: fingerprint(['part']),
      guard: createGuard(ledger),
      handler: () => 'done',
    })
    const parts = ['p'.repeat(10_240), 'a\u0000b', "a'b", 'a"b', '😀', 'é', 'e\u0301', 'parts', 'w","parts']
    for (const [n, part] of parts.entries()) {
      const delivery = { id: `d${n}`, attempt: 1, maxAttempts: 1 }
      expect(await operation({ part }, delivery)).toMatchObject({ executed: true })
      const again = await operation({ part }, { ...delivery, id: `again ${n}` })
      expect(again).toMatchObject({ executed: false, reason: 'cooldown' })
    }
    const count = 'select count(*)::int as n from opsledger.job_claim'
    const [before] = (await database.pool().query(count)).rows
    for (const [part, why] of [
      ['\ud800', /lone surrogate/i],
      ['p'.repeat(2_097_152), /bytes/],
    ] as const) {
      const failure = await operation({ part }, { id: 'bad', attempt: 1, maxAttempts: 1 }).catch((e) => e)
      expect(failure).toMatchObject({ message: expect.stringMatching(why) })
      expect(failure.message.length).toBeLessThan(400)
    }
    expect((await database.pool().query(count)).rows).toEqual([before])
  })

  it('of two ledgers in one process executes once on one schema, and on each of two schemas', async () => {
    await migrate({ connection: database.url, schema: 'second', with: [migrations] })
    const finish = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const first = operationOn(newLedger(), async () => {
      entered.resolve()
      await finish.promise
    })
    const executing = first.operation('shared', { id: 'd1', attempt: 1, maxAttempts: 1 })
    await entered.promise
    const next = { id: 'd2', attempt: 1, maxAttempts: 1 }
    const beside = operationOn(newLedger())
    expect(await beside.operation('shared', next)).toMatchObject({ reason: 'overlap' })
    const elsewhere = operationOn(newLedger({ schema: 'second' }))
    expect(await elsewhere.operation('shared', next)).toMatchObject({ executed: true })
    await beside.ledger.close()
    finish.resolve()
    expect(await executing).toMatchObject({ executed: true, settlement: 'settled' })
  })

  it('whose handler never stops does not hold up a shutdown, and is superseded by the next worker', async () => {
    const never = Promise.withResolvers<string>()
    const entered = Promise.withResolvers<AbortSignal>()
    const stuck = operationOn(newLedger(), (signal) => {
      entered.resolve(signal)
      return never.promise
    })
    const delivery = { id: 'd1', attempt: 1, maxAttempts: 3 }
    const delivered = stuck.operation('stuck', delivery)
    const signal = await entered.promise
    await stuck.ledger.close({ withinMs: 50 })
    expect(signal.reason).toBeInstanceOf(LedgerClosedError)

    const next = operationOn()
    const taken = await next.operation('stuck', delivery)
    expect(taken).toMatchObject({ executed: true, settlement: 'settled', run: { attempt: 2 } })
    never.resolve('late')
    const late = await delivered
    expect(late).toMatchObject({ executed: true, value: 'late' })
    expect(late.executed && late.settlement).toMatch(/^(superseded|unconfirmed)$/)
    const scope = { workspaceId: 'w', tenantId: 't' }
    const run = await next.ledger.get(scope, taken.run!.id)
    expect(run).toMatchObject({ attempt: 2, outcome: 'succeeded' })
  })
})
