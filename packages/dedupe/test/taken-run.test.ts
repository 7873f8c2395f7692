import { describe, expect, it } from 'vitest'
import { mutate } from './acceptance/support/database.ts'
import { useLedgerDatabase } from './support/ledger.ts'
import { claimOf, createLatch, racingWorker } from './support/racing-worker.ts'

describe('a record-only operation that takes over the run of a guarded one', () => {
  const database = useLedgerDatabase()

  async function takeOver(work: string) {
    const executing = createLatch()
    const guarded = racingWorker(database, executing.hold)
    const first = guarded.deliver({ work }, 'guarded')
    await executing.entered
    const recording = racingWorker(database, () => 'recorded', { isGuarded: false })
    const second = await recording.deliver({ work }, 'recording')
    expect(second).toMatchObject({ executed: true, value: 'recorded', run: { attempt: 2 } })
    executing.end()
    const { state } = await first.then(() => claimOf(database, guarded.identify({ work }).identity))
    return { first: await first, state }
  }

  it('leaves a claim behind that is free as soon as its holder ends, who hears that it was superseded', async () => {
    const { first, state } = await takeOver('taken')
    expect(first).toMatchObject({ executed: true, settlement: 'superseded' })
    expect(state).toBe('free')
    const next = racingWorker(database, () => 'next')
    expect(await next.deliver({ work: 'taken' }, 'next')).toMatchObject({ executed: true, value: 'next' })
  })

  it('would leave it held by nobody if only current attempts let go (mutant)', async () => {
    await mutate(database.pool(), 'settle', [
      ['where c.identity = i.identity;', 'where c.identity = i.identity and i.n = any (v_settled);'],
    ])
    expect(await takeOver('mutant')).toMatchObject({ first: { settlement: 'superseded' }, state: 'held' })
  })
})

describe('protected work beside an operation that has the same work under a run id, in another process', () => {
  const database = useLedgerDatabase()

  async function meet(work: string) {
    const executing = createLatch()
    const operation = racingWorker(database, executing.hold)
    const first = operation.deliver({ work, runId: crypto.randomUUID() }, 'first')
    await executing.entered
    const deliver = racingWorker(database).protect(() => 'executed')
    const delivery = { id: 'second', attempt: 1, maxAttempts: 1 }
    const meanwhile = await deliver({ work }, delivery)
    executing.end()
    expect(await first).toMatchObject({ executed: true, settlement: 'settled' })
    return { meanwhile }
  }

  it('is told that somebody is at it, and to come again', async () => {
    expect(await meet('beside')).toMatchObject({
      meanwhile: { executed: false, reason: 'lock_busy', action: 'retry_later' },
    })
  })

  it('would execute beside it without the look at the other claims (mutant)', async () => {
    await mutate(database.pool(), 'admit', [['seen.is_at_it or ', '']])
    expect(await meet('mutant')).toMatchObject({ meanwhile: { executed: true, value: 'executed' } })
  })

  it('holds the other way round as well', async () => {
    const executing = createLatch()
    const delivery = { id: 'first', attempt: 1, maxAttempts: 1 }
    const first = racingWorker(database).protect(executing.hold)({ work: 'other way' }, delivery)
    await executing.entered
    const operation = racingWorker(database)
    const answer = await operation.deliver({ work: 'other way', runId: crypto.randomUUID() }, 'second')
    expect(answer).toMatchObject({ executed: false, reason: 'lock_busy', action: 'retry_later' })
    executing.end()
    await first
  })
})
