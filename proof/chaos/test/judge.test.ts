import { describe, expect, test } from 'vitest'
import { SECRET, UNTOLD_SECRETS } from '../src/arena/secret.ts'
import { overlapsOfFrozen } from '../src/oracle/frozen.ts'
import { judgeHostWrites } from '../src/oracle/g8-host-writes.ts'
import { past, Story } from './support/story.ts'

/** One delivery, one section, one run; its duplicate was refused. */
const good = () =>
  new Story()
    .delivery('d1')
    .delivery('d2')
    .section(1, 0, 10)
    .executed('d1', 11, 1)
    .skipped('d2', 20, 'cooldown', { fence: 1, deliveryId: 'd1' })
    .run('r1', 1)

/** The first attempt threw, the second one succeeded. */
const retried = () =>
  new Story()
    .delivery('d1')
    .section(1, 0, 10, { ending: 'threw' })
    .executed('d1', 11, 1)
    .section(2, 20, 30)
    .executed('d1', 31, 2, 'settled', { asked: 19 })
    .run('r1', 2, { history: [past(1, 'd1')] })

test('the judge finds nothing where nothing is wrong', () => {
  expect(good().ruling().violations).toEqual([])
  expect(retried().ruling().violations).toEqual([])
})

describe('G1, exclusion', () => {
  test('two sections of one work at once', () => {
    expect(good().section(2, 5, 15, { deliveryId: 'd2' }).broken()).toContain('G1')
  })
  test('a section that was cut off lasts until its process is killed', () => {
    const story = (killedAt: number) =>
      good().section(3, 200, null, { pid: 9 }).section(4, 205, 210).killed(9, killedAt)
    expect(story(208).broken()).toContain('G1')
    expect(story(204).broken()).not.toContain('G1')
  })
  test('a section that is under way in a longer one hides no other', () => {
    const story = good()
      .with({ isExempt: (earlier) => earlier.fence === 2 })
      .section(2, 300, 400)
      .section(3, 310, 330)
      .section(4, 320, 340)
    expect(story.ruling().violations.filter(({ guarantee }) => guarantee === 'G1')).toHaveLength(1)
    expect(story.ruling().exempted.map((pair) => pair.map(({ fence }) => fence))).toEqual([
      [2, 3],
      [2, 4],
    ])
  })
  test('one fence that begins twice', () => {
    expect(good().section(1, 300, 310).findings()).toMatch(/G1: fence 1 of w began twice/)
  })
  test('left out is the overlap of a worker that was frozen past its lease without a lock, and no other', () => {
    const LEASE_MS = 150
    const exempts = (
      tell: (story: Story) => void,
      mode: 'session' | 'lease' = 'lease',
      unlocked?: ReadonlySet<number>,
    ) => {
      const story = new Story().section(2, 200, 210, { pid: 2 })
      story.modes.set(1, mode).set(2, 'session')
      tell(story)
      const { sections } = story.ruling()
      const [older, newer] = [1, 2].map((fence) => sections.find((one) => one.fence === fence)!)
      const isExempt = overlapsOfFrozen(story.evidence(), LEASE_MS, unlocked)
      expect(isExempt(older!, newer!)).toBe(isExempt(newer!, older!))
      return isExempt(older!, newer!)
    }
    expect(exempts((story) => story.section(1, 0, 240).frozen(1, 20, 230))).toBe(true)
    const frozen = (story: Story) => story.section(1, 0, 240).frozen(1, 20, 230)
    expect(exempts(frozen, 'session')).toBe(false)
    expect(exempts(frozen, 'session', new Set([1]))).toBe(true)
    expect(exempts(frozen, 'session', new Set([2]))).toBe(false)
    // Never frozen; another was; frozen for too short a time, or just before; and not let go of within a lease.
    expect(exempts((story) => story.section(1, 0, 240))).toBe(false)
    expect(exempts((story) => story.section(1, 0, 240).frozen(2, 20, 230))).toBe(false)
    expect(exempts((story) => story.section(1, 0, 240).frozen(1, 180, 230))).toBe(false)
    expect(exempts((story) => story.section(1, 0, 240).frozen(1, 120, 130))).toBe(false)
    expect(exempts((story) => story.section(1, 0, 240).frozen(1, 150, 450))).toBe(false)
    expect(exempts((story) => story.section(1, 0, 400).frozen(1, 20, 230))).toBe(false)
  })
})

test('G2: a section within the cooldown of a settled one', () => {
  expect(good().section(2, 109, 120, { deliveryId: 'd2' }).broken()).toContain('G2')
  expect(good().section(2, 111, 120, { deliveryId: 'd2' }).broken()).not.toContain('G2')
})

describe('G3, retries', () => {
  const failed = () =>
    new Story()
      .delivery('d1')
      .section(1, 0, 10, { ending: 'threw' })
      .executed('d1', 11, 1)
      .run('r1', 1, { status: 'retrying', outcome: 'pending', history: [past(1, 'd1')] })

  test('a retry that is refused for the failure before it', () => {
    const refused = failed().skipped('d1', 12, 'cooldown', { fence: 1, deliveryId: 'd1' })
    expect(refused.findings()).toMatch(/G3: d1 was refused for a failure that is to be retried/)
  })
  test('also when an answer that decides nothing lies between', () => {
    const story = failed()
      .section(7, 0, 5, { runId: 'r7', deliveryId: 'd7' })
      .skipped('d1', 12, 'lock_busy', null, { action: 'retry_later' })
      .unavailable('d1', 13, 'database_unavailable')
      // Names somebody whose cooldown was over when it asked.
      .skipped('d1', 700, 'cooldown', { fence: 7, deliveryId: 'd7' })
    expect(story.broken()).toContain('G3')
  })
  test('not when another delivery has ended the work', () => {
    const story = failed()
      .delivery('d2')
      .section(2, 20, 30, { deliveryId: 'd2' })
      .executed('d2', 31, 2)
      .skipped('d1', 40, 'cooldown', { fence: 2, deliveryId: 'd2' })
      .run('r1', 2, { history: [past(1, 'd1')] })
    expect(story.ruling().violations).toEqual([])
  })
})

describe('G4, the final attempt wins', () => {
  test('a run that shows an older attempt, or numbers or an outcome of another one', () => {
    expect(
      good()
        .section(2, 300, 310)
        .run('r1', 1, { history: [past(2, 'd1')] })
        .findings(),
    ).toMatch(/G4: run r1 shows fence 1, and 2 settled after it/)
    for (const counts of [
      { total: 2, processed: 1, failed: 0 },
      { total: 1, processed: 1, failed: 1 },
    ]) {
      expect(good().run('r1', 1, { counts }).broken()).toContain('G4')
    }
    expect(good().run('r1', 1, { outcome: 'failed' }).broken()).toContain('G4')
    expect(good().run('r1', 1, { outcome: 'partially_succeeded' }).broken()).toContain('G4')
    expect(good().run('r1', 7).broken()).toContain('G4')
    expect(good().run('r2', null, { outcome: 'skipped' }).findings()).toMatch(/G4: run r2 is skipped/)
  })
  test('a run that ended with an attempt that threw to be retried, or of another run', () => {
    const threw = new Story()
      .delivery('d1')
      .section(1, 0, 10, { ending: 'threw' })
      .executed('d1', 11, 1)
      .run('r1', 1, { outcome: 'failed' })
    expect(threw.broken()).toContain('G4')
    expect(good().run('r2', 1).broken()).toContain('G4')
  })
  test('an attempt that settles in its handler may be cut off after that', () => {
    const cut = (outcome: string) =>
      new Story()
        .with({ settlesInHandler: true })
        .delivery('d1')
        .section(1, 0, null, { pid: 9 })
        .killed(9, 10)
        .skipped('d1', 20, 'already_terminal')
        .run('r1', 1, { outcome })
    expect(cut('succeeded').broken()).toEqual([])
    expect(cut('succeeded').with({ settlesInHandler: false }).broken()).toContain('G4')
    expect(cut('failed').broken()).toContain('G4')
    const stopped = (settlesInHandler: boolean) =>
      new Story()
        .with({ settlesInHandler })
        .delivery('d1')
        .section(1, 0, 10, { ending: 'stopped' })
        .executed('d1', 11, 1)
        .run('r1', 1, { outcome: 'failed' })
    expect(stopped(true).findings()).not.toMatch(/G4/)
    expect(stopped(false).findings()).toMatch(/G4: run r1 is failed, its attempt stopped/)
  })
  test('a superseded attempt that changed a row', () => {
    const story = new Story()
      .delivery('d1')
      .section(1, 0, 10)
      .executed('d1', 11, 1, 'superseded')
      .run('r1', 1)
    expect(story.broken()).toContain('G4')
  })
  test('a caller that is told of an attempt that it did not execute', () => {
    expect(good().executed('d2', 30, 9, 'superseded').broken()).toContain('G4')
    expect(good().executed('d2', 30, 1).findings()).toMatch(/G4: .* which it did not execute/)
    expect(good().executed('d1', 30, 1).findings()).toMatch(/G4: d1 was told of fence 1, as another was/)
    // Stopped before its handler began.
    const stopped = good().executed('d2', 30, 9, 'superseded', { isHandedBack: true })
    expect(stopped.broken()).toEqual([])
  })
  test('a swept run has the counts of its last settled attempt, under a fence of its own', () => {
    const swept = (counts: { total: number; processed: number; failed: number }, fence = 9) =>
      good()
        .section(3, 300, 310, { runId: 'r2', ending: 'threw' })
        .executed('d1', 311, 3)
        .run('r2', fence, { outcome: 'failed', reasonCode: 'worker.lost', counts, history: [past(3, 'd1')] })
    expect(swept({ total: 3, processed: 3, failed: 0 }).broken()).toEqual([])
    expect(swept({ total: 0, processed: 0, failed: 0 }).broken()).toEqual(['G4'])
    expect(swept({ total: 3, processed: 3, failed: 0 }, 3).broken()).toEqual(['G4'])
  })
})

describe('G4, the history of a run', () => {
  const withHistory = (...history: ReturnType<typeof past>[]) => retried().run('r1', 2, { history })

  test('each attempt once, in order, and before the one that the run shows', () => {
    expect(withHistory(past(1, 'd1'), past(1, 'd1')).broken()).toContain('G4')
    expect(withHistory(past(1, 'd1'), past(2, 'd1', 'succeeded')).broken()).toContain('G4')
    const older = retried().run('r1', 1, { history: [past(2, 'd1', 'succeeded')] })
    expect(older.findings()).toMatch(/G4: run r1 shows fence 1, and its history ends with 2/)
    const twice = retried().run('r2', 9, { history: [past(1, 'd1')] })
    expect(twice.findings()).toMatch(/G4: .* and once more/)
    const three = retried().section(3, 200, 210, { ending: 'threw' }).executed('d1', 211, 3)
    const disordered = three.run('r1', 4, { history: [past(3, 'd1'), past(1, 'd1')] })
    expect(disordered.findings()).toMatch(/G4: .* out of order: 3, 1/)
  })
  test('an attempt as it ended, with its numbers, of that run and delivery', () => {
    for (const wrong of [
      { outcome: 'succeeded' },
      { total: 7 },
      { processed: 0 },
      { failed: 1 },
      { deliveryId: 'd2' },
    ]) {
      expect(withHistory({ ...past(1, 'd1'), ...wrong }).broken()).toEqual(['G4'])
    }
    const ofAnother = retried()
      .run('r1', 2)
      .run('r2', null, { status: 'retrying', history: [past(1, 'd1')] })
    expect(ofAnother.findings()).toMatch(/G4: .* which d1 executed in run r1/)
  })
  test('an attempt that nobody executed was lost or handed back, and something was there to lose it', () => {
    const unknown = (outcome: string) =>
      retried()
        .section(5, 200, 210)
        .executed('d1', 211, 5)
        .run('r1', 5, { history: [past(1, 'd1'), past(2, 'd1', 'succeeded'), past(3, 'd1', outcome)] })
    expect(unknown('failed').broken()).toEqual(['G4'])
    const story = (tell: (story: Story) => Story, entry = past(1, 'd2', 'lost')) =>
      tell(
        new Story()
          .delivery('d1')
          .section(2, 0, 10)
          .executed('d1', 11, 2)
          .run('r1', 2, { history: [entry] }),
      ).broken()
    expect(story((one) => one)).toEqual(['G4'])
    expect(story((one) => one.with({ losesReplies: true }))).toEqual([])
    expect(story((one) => one.killed(9, 1))).toEqual([])
    const nothing = { ...past(1, 'd2'), total: 0, processed: 0, failed: 0 }
    const handedBack = (one: Story) => one.executed('d2', 1, 1, 'settled', { isHandedBack: true })
    expect(story((one) => one, nothing)).toEqual(['G4'])
    expect(story(handedBack, nothing)).toEqual([])
    expect(story(handedBack, past(1, 'd2'))).toEqual(['G4'])
  })
})

describe('G5, nothing is lost', () => {
  test('a delivery without an end', () => {
    expect(good().delivery('d2', { isComplete: false }).findings()).toMatch(/G5: d2 never came to an end/)
    expect(good().delivery('d3').broken()).toEqual(['G5'])
    // One of its copies is still on its way.
    expect(good().delivery('d1', { open: 1 }).broken()).toEqual(['G5'])
    const later = good().delivery('d3').skipped('d3', 5, 'overlap', { fence: 1, deliveryId: 'd1' }, LATER)
    expect(later.broken()).toEqual(['G5'])
  })
  test('an acknowledged settlement that the tables do not know', () => {
    const lost = good().run('r1', 5, {
      reasonCode: 'worker.lost',
      outcome: 'failed',
      counts: { total: 0, processed: 0, failed: 0 },
    })
    expect(lost.findings()).toMatch(/G5: d1 was told settled, and the ledger knows nothing of it/)
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

const LATER = { action: 'retry_later' } as const

describe('G5, reasons', () => {
  const third = () => good().delivery('d3')

  test('a lock, a run that nobody names, and the delivery itself are none to be discarded for', () => {
    expect(third().skipped('d3', 5, 'lock_busy').broken()).toEqual(['G5'])
    expect(third().skipped('d3', 5, 'not_canonical', { fence: 1, deliveryId: 'd1' }).broken()).toEqual(['G5'])
    const forItself = third().skipped('d3', 5, 'overlap', { fence: 1, deliveryId: 'd3' })
    expect(forItself.findings()).toMatch(/G5: d3 was discarded for overlap, and it is itself the holder/)
    expect(third().skipped('d3', 5, 'overlap').broken()).toEqual(['G5'])
    // The same again later, for its own attempt: its queue cares for it.
    const itself = { fence: 1, deliveryId: 'd1' }
    expect(
      good().skipped('d1', 5, 'overlap', itself, LATER).skipped('d1', 6, 'lock_busy', null, LATER).broken(),
    ).toEqual([])
  })
  test('every answer is judged, also those before the one that ends the delivery', () => {
    const story = third()
      .skipped('d3', 12, 'overlap', { fence: 9, deliveryId: 'd9' }, LATER)
      .skipped('d3', 30, 'cooldown', { fence: 1, deliveryId: 'd1' })
    expect(story.broken()).toEqual(['G5'])
  })
  describe('overlap', () => {
    const refused = (asked: number, when = asked) =>
      third().skipped('d3', when, 'overlap', { fence: 1, deliveryId: 'd1' }, { asked, pid: 2 })

    test('with a holder that had not settled when it asked', () => {
      expect(refused(5).broken()).toEqual([])
      expect(refused(10, 30).broken()).toEqual([])
      expect(refused(12).broken()).toEqual(['G5'])
    })
    test('with a holder that had asked', () => {
      const story = (asked: number) =>
        good()
          .delivery('d3')
          .section(5, 300, 310)
          .executed('d1', 311, 5, 'settled', { asked })
          .skipped('d3', 250, 'overlap', { fence: 5, deliveryId: 'd1' })
          .run('r1', 5)
          .run('r0', 1)
      expect(story(240).broken()).not.toContain('G5')
      expect(story(260).broken()).toContain('G5')
    })
    test('with a holder that is of this work, and is who it is said to be', () => {
      const other = third()
        .delivery('d9', { work: 'v' })
        .section(9, 0, 10, { work: 'v', runId: 'r9', deliveryId: 'd9' })
        .executed('d9', 11, 9, 'settled', { work: 'v' })
        .run('r9', 9)
      const told = (fence: number, deliveryId: string) =>
        other.skipped('d3', 5, 'overlap', { fence, deliveryId })
      expect(told(9, 'd9').broken()).toEqual(['G5'])
      expect(third().skipped('d3', 5, 'overlap', { fence: 1, deliveryId: 'd9' }).broken()).toEqual(['G5'])
      expect(third().skipped('d3', 5, 'overlap', { fence: 99, deliveryId: 'd1' }).broken()).toEqual(['G5'])
    })
    test('a newcomer shares the refusal that its process is waiting for', () => {
      const first = refused(5, 40).delivery('d4')
      const by = { fence: 1, deliveryId: 'd1' }
      expect(first.skipped('d4', 41, 'overlap', by, { asked: 20, pid: 2 }).broken()).toEqual([])
      expect(
        refused(5, 40).delivery('d4').skipped('d4', 41, 'overlap', by, { asked: 20, pid: 3 }).broken(),
      ).toEqual(['G5'])
    })
    test('with a holder that was killed, until another has executed', () => {
      const story = (asked: number) =>
        new Story()
          .delivery('d1')
          .delivery('d3')
          .section(1, 0, null, { pid: 9 })
          .killed(9, 5)
          .section(2, 100, 110)
          .executed('d1', 111, 2, 'settled', { asked: 99 })
          .run('r1', 2, { history: [past(1, 'd1', 'lost')] })
          .skipped('d3', asked, 'overlap', { fence: 1, deliveryId: 'd1' }, { pid: 2 })
      expect(story(50).broken()).toEqual([])
      expect(story(101).broken()).toEqual(['G5'])
    })
    test('with a holder of the same process, until its caller is told', () => {
      // Frozen when another took it over; awake, it still asks what became of its commit.
      const story = (pid: number, asked = 150) =>
        new Story()
          .with({ mayBeUnconfirmed: () => true })
          .delivery('d1')
          .delivery('d3')
          .section(1, 0, 90, { pid: 9, ending: 'stopped' })
          .executed('d1', 200, 1, 'unconfirmed', { pid: 9, asked: 0 })
          .section(2, 100, 110)
          .executed('d1', 111, 2, 'settled', { asked: 99 })
          .run('r1', 2, { history: [past(1, 'd1', 'lost')] })
          .skipped('d3', asked, 'overlap', { fence: 1, deliveryId: 'd1', pid: 9 }, { pid })
      expect(story(9).findings()).not.toMatch(/and the holder was gone/)
      expect(story(8).findings()).toMatch(/G5: .* and the holder was gone/)
      expect(story(9, 201).findings()).toMatch(/G5: .* and the holder was gone/)
    })
    test('with a holder of the same process that was taken before its handler began, while it asks again', () => {
      // Frozen while it was admitted; awake, it finds its claim taken, and is told to come later.
      const story = (pid: number, asked = 150) =>
        new Story()
          .delivery('d1')
          .delivery('d2')
          .delivery('d3')
          .section(2, 100, 110, { deliveryId: 'd2' })
          .executed('d2', 111, 2, 'settled', { asked: 99 })
          .run('r1', 2, { history: [past(1, 'd1', 'lost')] })
          .skipped('d1', 160, 'already_terminal', null, { asked: 0, pid: 9 })
          .skipped('d3', asked, 'overlap', { fence: 1, deliveryId: 'd1', pid: 9 }, { pid })
      expect(story(9).findings()).not.toMatch(/and the holder was gone/)
      expect(story(8).findings()).toMatch(/G5: .* and the holder was gone/)
      expect(story(9, 161).findings()).toMatch(/G5: .* and the holder was gone/)
    })
    test('with a holder that was killed before its handler began, if the ledger remembers it', () => {
      const story = (holder: string) =>
        new Story()
          .delivery('d1')
          .delivery('d3')
          .killed(9, 5)
          .section(2, 100, 110)
          .executed('d1', 111, 2, 'settled', { asked: 99 })
          .run('r1', 2, { history: [past(1, 'd1', 'lost')] })
          .skipped('d3', 50, 'overlap', { fence: 1, deliveryId: holder }, { pid: 2 })
      expect(story('d1').broken()).toEqual([])
      expect(story('d7').broken()).toEqual(['G5'])
      // A run of other work remembers nothing of this one.
      const ofOther = story('d1')
        .delivery('d9', { work: 'v' })
        .section(9, 0, 10, { work: 'v', runId: 'r9', deliveryId: 'd9' })
        .executed('d9', 11, 9, 'settled', { work: 'v' })
        .run('r9', 9, { history: [past(1, 'd1', 'lost')] })
        .run('r1', 2)
      expect(ofOther.findings()).toMatch(/G5: .* and that holder never was/)
    })
    test('with a holder whose run was left for the sweep', () => {
      const story = third()
        .with({ losesReplies: true })
        .skipped('d3', 250, 'overlap', { fence: 4, deliveryId: 'd1' })
      expect(story.broken()).toEqual(['G5'])
      story.ledger.leftRunning = [{ id: 'r4', fence: 4, deliveryId: 'd1', pid: 9 }]
      expect(story.broken()).toEqual([])
    })
  })
  describe('cooldown', () => {
    const cooled = (asked: number) => third().skipped('d3', asked, 'cooldown', { fence: 1, deliveryId: 'd1' })

    test('of a work that has one, until it is over', () => {
      expect(cooled(111).broken()).toEqual([])
      expect(cooled(112).broken()).toEqual(['G5'])
      expect(
        good()
          .with({ cooldownMs: () => 0 })
          .findings(),
      ).toMatch(/G5: .* and the work has no cooldown/)
    })
    test('of an attempt that ended for good, settled, and was there', () => {
      expect(cooled(9).broken()).toEqual(['G5'])
      expect(third().skipped('d3', 20, 'cooldown', { fence: 99, deliveryId: 'd1' }).broken()).toEqual(['G5'])
      expect(third().skipped('d3', 20, 'cooldown').broken()).toEqual(['G5'])
      const stopped = third()
        .section(2, 300, 310, { ending: 'returned' })
        .executed('d1', 311, 2, 'superseded')
        .skipped('d3', 320, 'cooldown', { fence: 2, deliveryId: 'd1' })
      expect(stopped.broken()).toEqual(['G5'])
      const cut = third()
        .section(2, 300, null, { pid: 9 })
        .killed(9, 305)
        .skipped('d3', 320, 'cooldown', { fence: 2, deliveryId: 'd1' })
      expect(cut.broken()).toEqual(['G5'])
    })
  })
  describe('already_terminal', () => {
    test('of a run that its own attempt ended well', () => {
      expect(good().skipped('d1', 20, 'already_terminal').broken()).toEqual([])
      expect(good().skipped('d1', 9, 'already_terminal').broken()).toEqual(['G5'])
      const ofNone = good().skipped('d1', 20, 'already_terminal', null, { runId: null })
      expect(ofNone.findings()).toMatch(/G5: .* and no run is named/)
      // A reply of its settlement was lost, and it was sent again.
      const again = new Story()
        .delivery('d1')
        .section(1, 0, 10)
        .executed('d1', 11, 1, 'already_settled')
        .run('r1', 1)
      expect(again.skipped('d1', 20, 'already_terminal').broken()).toEqual([])
    })
    test('of a run that failed, or where its only attempt threw, is none', () => {
      const failed = new Story()
        .delivery('d1')
        .section(1, 0, 10, { ending: 'failed' })
        .executed('d1', 11, 1)
        .run('r1', 1, { outcome: 'failed' })
      expect(failed.broken()).toEqual([])
      expect(failed.skipped('d1', 200, 'already_terminal').broken()).toEqual(['G5'])
      expect(retried().skipped('d1', 15, 'already_terminal').broken()).toEqual(['G5'])
      const superseded = new Story()
        .delivery('d1')
        .section(1, 0, 10, { ending: 'failed' })
        .executed('d1', 11, 1)
        .section(2, 200, 210)
        .executed('d1', 211, 2, 'superseded', { asked: 199 })
        .run('r1', 1, { outcome: 'failed' })
      expect(superseded.broken()).toEqual([])
      expect(superseded.skipped('d1', 220, 'already_terminal').broken()).toEqual(['G5'])
      expect(retried().skipped('d1', 40, 'already_terminal').broken()).toEqual([])
    })
    test('of a run that another delivery ended, only with an attempt of its own', () => {
      const ended = (history: ReturnType<typeof past>[]) =>
        new Story()
          .delivery('d1')
          .delivery('d2')
          .killed(9, 5)
          .section(2, 20, 30)
          .executed('d1', 31, 2)
          .skipped('d2', 40, 'already_terminal')
          .run('r1', 2, { history })
      // Killed after its admission, before its handler began: the history has its trace.
      expect(ended([past(1, 'd2', 'lost')]).broken()).toEqual([])
      expect(ended([past(1, 'd3', 'lost')]).broken()).toEqual(['G5'])
      expect(ended([]).broken()).toEqual(['G5'])
    })
  })
})

describe('G6, the host is safe', () => {
  test('a process that fell, unless it was meant to', () => {
    const fell = () => {
      const story = good()
      story.fallen.push('process 7 ended with 70: TransactionPoolerError')
      return story
    }
    expect(fell().broken()).toEqual(['G6'])
    expect(
      fell()
        .with({ mayFall: (why) => why.includes('TransactionPoolerError') })
        .broken(),
    ).toEqual([])
    const marked = good()
    marked.marks.push({ mark: 'fell', at: 1n, pid: 1, why: 'unhandledRejection' })
    expect(marked.broken()).toEqual(['G6'])
  })
  test('an error that nobody expects there and then', () => {
    const met = (code: string, sqlState: string | null = null) => good().unavailable('d2', 5, code, sqlState)
    expect(met('database_unavailable').broken()).toEqual([])
    expect(met('ledger_closed').broken()).toEqual(['G6'])
    expect(met('other').broken()).toEqual(['G6'])
    expect(met('database_unavailable').with({ expectedCodes: [] }).broken()).toEqual(['G6'])
    const isFull = ({ answer, at }: { answer: object; at: bigint }) =>
      'sqlState' in answer && answer.sqlState === '53100' && at < 6_000_000n
    expect(met('other', '53100').with({ mayMeet: isFull }).broken()).toEqual([])
    expect(met('other', '40001').with({ mayMeet: isFull }).broken()).toEqual(['G6'])
    expect(good().unavailable('d2', 7, 'other', '53100').with({ mayMeet: isFull }).broken()).toEqual(['G6'])
  })
  test('a connection that is left', () => {
    const leaking = good()
    leaking.ledger.connectionsLeft = 1
    expect(leaking.broken()).toEqual(['G6'])
  })
})

test('G7: a secret in a row, in an error or in last words, whether the library was told it or not', () => {
  for (const secret of [SECRET, ...Object.values(UNTOLD_SECRETS)]) {
    const story = good()
    story.ledger.text = `(…,"api_key=${secret}")`
    expect(story.broken()).toEqual(['G7'])
    expect(good().unavailable('d2', 5, 'database_unavailable', null, secret).broken()).toEqual(['G7'])
    const fell = good().with({ mayFall: () => true })
    fell.fallen.push(secret)
    expect(fell.broken()).toEqual(['G7'])
  }
})

test('G8: host writes that are not those of the runs that succeeded', () => {
  const effect = { run_id: 'r1', fence: 1, amount: 1 }
  const runs = [...good().run('r2', 2, { outcome: 'failed' }).runs.values()]
  expect(judgeHostWrites([effect], runs)).toEqual([])
  for (const wrong of [
    [],
    [effect, effect],
    [{ ...effect, fence: 2 }],
    [{ ...effect, amount: 2 }],
    [effect, { ...effect, run_id: 'r2' }],
    [effect, { ...effect, run_id: 'nobody' }],
  ]) {
    expect(judgeHostWrites(wrong, runs)).toHaveLength(1)
  }
})
