import { describe, expect, test } from 'vitest'
import { good, LATER, past, Story } from '../support/story.ts'

describe('G5, nothing is lost', () => {
  test('a delivery without an end', () => {
    expect(good().delivery('d2', { isComplete: false }).findings()).toMatch(/G5: d2 never came to an end/)
    expect(good().delivery('d3').broken()).toEqual(['G5'])
    // One of its copies is still on its way.
    expect(good().delivery('d1', { open: 1 }).broken()).toEqual(['G5'])
    const later = good().delivery('d3').skipped('d3', 5, 'overlap', { fence: 1, deliveryId: 'd1' }, LATER)
    expect(later.broken()).toEqual(['G5'])
  })
  test.each(['settled', 'already_settled'] as const)(
    'a caller told %s of what the tables do not know',
    (told) => {
      const lost = new Story()
        .delivery('d1')
        .section(1, 0, 10)
        .executed('d1', 11, 1, told)
        .run('r1', 5, {
          reasonCode: 'worker.lost',
          outcome: 'failed',
          counts: { total: 0, processed: 0, failed: 0 },
        })
      expect(lost.findings()).toContain(`G5: d1 was told ${told}, and the ledger knows nothing of it`)
    },
  )
  test('a work of which attempts settled, and none for good', () => {
    const only = (ending: 'threw' | 'stopped' | 'failed') =>
      new Story()
        .delivery('d1')
        .section(1, 0, 10, { ending })
        .executed('d1', 11, 1)
        .run('r1', 9, {
          outcome: 'failed',
          reasonCode: 'delivery.lost',
          counts: { total: 1, processed: 1, failed: 0 },
          history: [past(1, 'd1')],
        })
    expect(only('threw').findings()).toBe('G5: no attempt of w was ever settled for good')
    expect(only('stopped').broken()).toEqual(['G5'])
    expect(only('failed').broken()).toEqual([])
  })
  test('a work that was never settled for good, unless its own caller was told so', () => {
    const given = (work: string, settlement: 'unconfirmed' | 'superseded') =>
      good()
        .with({ mayBeUnconfirmed: () => true })
        .delivery('d3', { work: 'v' })
        .section(3, 0, 10, { work: 'v', runId: 'r3', deliveryId: 'd3' })
        .delivery('d4', { work })
        .section(4, 300, 310, { work, runId: 'r4', deliveryId: 'd4' })
        .executed('d3', 11, 3, 'superseded', { work: 'v' })
        .executed('d4', 311, 4, settlement, { work })
    expect(given('v', 'unconfirmed').broken()).toEqual([])
    // That of another work excuses nothing.
    expect(given('w', 'unconfirmed').broken()).toEqual(['G5'])
    expect(given('v', 'superseded').broken()).toEqual(['G5'])
  })
  test('a settlement that was given up where the database was there', () => {
    const story = () => good().section(2, 300, 310).executed('d1', 311, 2, 'unconfirmed')
    expect(story().broken()).toEqual(['G5'])
    const during = (until: number) =>
      story().with({ mayBeUnconfirmed: ({ at }) => at < BigInt(until) * 1_000_000n })
    expect(during(311).broken()).toEqual(['G5'])
    expect(during(312).broken()).toEqual([])
  })
  test('a run that is open, or waits for a delivery that is not due', () => {
    const left = (status: string, history = [past(2, 'd1')]) =>
      good()
        .section(2, 300, 310, { ending: 'threw', runId: 'r2' })
        .executed('d1', 311, 2)
        .run('r2', 2, { status, outcome: 'pending', history })
    expect(left('running').findings()).toMatch(/G5: run r2 is running after the sweep/)
    expect(left('retrying').broken()).toEqual(['G5'])
    expect(left('retrying').with({ losesReplies: true }).broken()).toEqual(['G5'])
    expect(left('queued').broken()).toEqual(['G5'])
  })
  test('a run may wait after an attempt that nobody heard of', () => {
    const orphan = (entry = past(2, 'd1', 'lost'), status = 'retrying', fence = 2) =>
      good()
        .with({ losesReplies: true })
        .run('r2', fence, { status, outcome: 'pending', history: [entry] })
    expect(orphan().broken()).toEqual([])
    expect(orphan().with({ losesReplies: false }).broken()).toContain('G5')
    expect(orphan(past(2, 'd1', 'lost'), 'queued').broken()).toEqual(['G5'])
    expect(orphan(past(2, 'd1', 'lost'), 'retrying', 3).broken()).toEqual(['G5'])
    expect(orphan(past(2, 'd1')).broken()).toContain('G5')
    // It was executed, and its caller was told that it is lost.
    const executed = (settlement: 'unconfirmed' | 'superseded') =>
      orphan()
        .with({ mayBeUnconfirmed: () => true })
        .section(2, 300, 310, { runId: 'r2' })
        .executed('d1', 311, 2, settlement)
    expect(executed('unconfirmed').broken()).toEqual([])
    expect(executed('superseded').broken()).toEqual(['G5'])
  })
  test('a run that was left running for the sweep, unless nobody heard of it', () => {
    const story = (fence: number) => {
      const one = good().section(2, 300, 310, { runId: 'r2' }).executed('d1', 311, 2, 'unconfirmed')
      one.ledger.leftRunning = [{ id: 'r2', fence, deliveryId: 'd1', pid: 9 }]
      return one.with({ mayBeUnconfirmed: () => true })
    }
    expect(story(2).broken()).toEqual([])
    expect(story(3).broken()).toEqual(['G5'])
    expect(story(3).with({ losesReplies: true }).broken()).toEqual([])
    expect(story(1).with({ losesReplies: true }).broken()).toEqual(['G5'])
    // What a process had sent when it was killed is carried out whenever the server reads it.
    expect(story(3).killed(9, 400).broken()).toEqual([])
    expect(story(3).killed(8, 400).broken()).toEqual(['G5'])
    expect(story(3).frozen(9, 400, 500).broken()).toEqual(['G5'])
    // It had arrived: the attempt was executed.
    expect(story(1).killed(9, 400).broken()).toEqual(['G5'])
  })
  test('what is held by a living worker or after the sweep, or found by a second one', () => {
    for (const left of ['heldClaims', 'sweptAgain'] as const) {
      const story = good()
      story.ledger[left] = 1
      expect(story.broken()).toEqual(['G5'])
    }
    const held = good()
    held.ledger.heldByLiving = [{ fence: 1, workerId: 'x' }]
    expect(held.broken()).toEqual(['G5'])
  })
})
