import { describe, expect, test } from 'vitest'
import type { PastPicture } from '../../src/arena/ledger-picture.ts'
import { past, retried, Story } from '../support/story.ts'

describe('G4, the history of a run', () => {
  const withHistory = (...history: PastPicture[]) => retried().run('r1', 2, { history })

  test('each attempt once, in order, and before the one that the run shows', () => {
    const doubled = withHistory(past(1, 'd1'), past(1, 'd1')).findings()
    expect(doubled).toMatch(/G4: fence 1 is in the history of run r1, and once more/)
    expect(doubled).not.toMatch(/out of order/)
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
  test('a run that succeeded and was opened again has both', () => {
    const story = new Story()
      .delivery('d1')
      .section(1, 0, 10)
      .executed('d1', 11, 1)
      .section(2, 200, 210, { ending: 'threw' })
      .executed('d1', 211, 2, 'settled', { asked: 199 })
      .section(3, 220, 230)
      .executed('d1', 231, 3, 'settled', { asked: 219 })
      .run('r1', 3, { history: [past(1, 'd1', 'succeeded'), past(2, 'd1')] })
    expect(story.broken()).toEqual([])
  })
  test('a run that was never executed has none', () => {
    const queued = (...history: PastPicture[]) =>
      retried().run('r2', null, { status: 'queued', outcome: 'pending', history })
    expect(queued().broken()).toEqual(['G5'])
    expect(queued(past(9, 'd1', 'lost')).findings()).toMatch(
      /G4: run r2 shows fence null, and its history ends with 9/,
    )
  })

  describe('an attempt that nobody executed', () => {
    /** Before the one that was, from 100 to 110 ms; of process 9. */
    const unexecuted = (entry: Partial<PastPicture> = {}) =>
      new Story()
        .delivery('d1')
        .delivery('d2')
        .section(2, 100, 110)
        .executed('d1', 111, 2)
        .skipped('d2', 120, 'cooldown', { fence: 2, deliveryId: 'd1' })
        .run('r1', 2, { history: [{ ...past(1, 'd2', 'lost', 9), ...entry }] })
    const BACK = { isHandedBack: true }
    const NOTHING = { total: 0, processed: 0, failed: 0 }
    const handedBack = (entry: Partial<PastPicture> = {}) =>
      unexecuted({ outcome: 'failed', ...NOTHING, ...entry })

    /** Null, or what is said of it. */
    const objection = (story: Story) => {
      const findings = story.findings()
      if (findings === '') return null
      expect(findings).toMatch(/^G4: the history of run r1 shows .*, which nobody executed$/m)
      return findings
    }

    test.each<[string, boolean, (story: Story) => Story]>([
      ['where nothing is known of it', false, (story) => story],
      ['when its process was killed', true, (story) => story.killed(9, 50)],
      ['when its process was frozen', true, (story) => story.frozen(9, 50, 150)],
      ['when its process was killed, after another had begun', false, (story) => story.killed(9, 101)],
      ['when its process was frozen, after another had begun', false, (story) => story.frozen(9, 101, 150)],
      ['when another process was killed', false, (story) => story.killed(8, 50)],
      ['where connections are lost', true, (story) => story.with({ losesReplies: true })],
      ['and its caller was told', true, (story) => story.executed('d2', 90, 1, 'superseded', BACK)],
    ])('may be lost %s: %s', (_, isKnown, tell) => {
      expect(objection(tell(unexecuted())) === null).toBe(isKnown)
    })

    test('is lost before any later attempt of its run began, not only before the newest', () => {
      const twice = (killedAt: number) =>
        unexecuted()
          .killed(9, killedAt)
          .section(3, 300, 310)
          .executed('d1', 311, 3, 'settled', { asked: 299 })
          .run('r1', 3, { history: [past(1, 'd2', 'lost', 9), past(2, 'd1', 'succeeded')] })
      expect(objection(twice(50))).toBe(null)
      expect(objection(twice(200))).not.toBe(null)
    })
    test('is lost whenever other runs, and older attempts of its own, began', () => {
      const others = unexecuted()
        .killed(9, 150)
        .section(6, 10, 20, { work: 'v', runId: 'r6', deliveryId: 'd6' })
        .executed('d6', 21, 6, 'settled', { work: 'v' })
        .run('r6', 6)
        .section(7, 300, 310)
        .executed('d1', 311, 7, 'settled', { asked: 299 })
      const history = [past(2, 'd1', 'succeeded'), past(5, 'd2', 'lost', 9)]
      expect(objection(others.run('r1', 7, { history }))).toBe(null)
    })

    test.each<[string, boolean, (story: Story) => Story]>([
      ['where nothing is known of it', false, (story) => story],
      ['and its caller was told so', true, (story) => story.executed('d2', 90, 1, 'settled', BACK)],
      ['and its caller was told of an execution', false, (story) => story.executed('d2', 90, 1)],
      ['when its process was killed before it told', true, (story) => story.killed(9, 200)],
      ['when another process was killed', false, (story) => story.killed(8, 200)],
      ['when its process was frozen, which tells later', false, (story) => story.frozen(9, 50, 150)],
    ])('may be handed back %s: %s', (_, isKnown, tell) => {
      expect(objection(tell(handedBack())) === null).toBe(isKnown)
    })
    test('is handed back as a failure, with nothing counted', () => {
      const told = (entry: Partial<PastPicture>) => handedBack(entry).executed('d2', 90, 1, 'settled', BACK)
      expect(objection(told({ outcome: 'succeeded' }))).not.toBe(null)
      expect(objection(told({ total: 1, processed: 1 }))).not.toBe(null)
    })
  })
})
