import { describe, expect, test } from 'vitest'
import { good, past, Story } from '../support/story.ts'

describe('G4, the final attempt wins', () => {
  test('a run that shows an older attempt, or numbers or an outcome of another one', () => {
    expect(
      good()
        .section(2, 300, 310)
        .run('r1', 1, { history: [past(2, 'd1')] })
        .findings(),
    ).toMatch(/G4: run r1 shows fence 1, and 2 settled after it/)
    const disordered = good()
      .section(2, 300, 310, { ending: 'threw' })
      .section(3, 320, 330, { ending: 'threw' })
      .run('r1', 1, { history: [past(3, 'd1'), past(2, 'd1')] })
    expect(disordered.findings()).toMatch(/G4: run r1 shows fence 1, and 3 settled after it/)
    for (const counts of [
      { total: 2, processed: 1, failed: 0 },
      { total: 1, processed: 1, failed: 1 },
    ]) {
      expect(good().run('r1', 1, { counts }).broken()).toContain('G4')
    }
    expect(good().run('r1', 1, { counts: null }).broken()).toEqual(['G4'])
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
    const failed = (ending: 'stopped' | 'threw', settlesInHandler: boolean) =>
      new Story()
        .with({ settlesInHandler })
        .delivery('d1')
        .section(1, 0, 10, { ending })
        .executed('d1', 11, 1)
        .run('r1', 1, { outcome: 'failed' })
    expect(failed('stopped', true).findings()).not.toMatch(/G4/)
    expect(failed('stopped', false).findings()).toMatch(/G4: run r1 is failed, its attempt stopped/)
    expect(failed('threw', true).findings()).toMatch(/G4: run r1 is failed, its attempt threw/)
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
  describe('a swept run', () => {
    const THREE = { total: 3, processed: 3, failed: 0 }
    const NONE = { total: 0, processed: 0, failed: 0 }
    /** Its attempts threw, but for the last one of the history. */
    const swept = (picture: Parameters<Story['run']>[2], fence = 9) =>
      good()
        .section(2, 300, 305, { runId: 'r2', ending: 'threw' })
        .section(3, 310, 315, { runId: 'r2', ending: 'threw' })
        .section(4, 320, null, { runId: 'r2', pid: 9 })
        .killed(9, 325)
        .run('r2', fence, {
          outcome: 'failed',
          reasonCode: 'worker.lost',
          counts: THREE,
          history: [past(2, 'd1'), past(3, 'd1'), past(4, 'd1', 'lost', 9)],
          ...picture,
        })

    test.each(['worker.lost', 'delivery.lost'])(
      'has the counts of its last settled attempt: %s',
      (reasonCode) => {
        expect(swept({ reasonCode }).broken()).toEqual([])
        expect(swept({ reasonCode, counts: NONE }).broken()).toEqual(['G4'])
        expect(swept({ reasonCode, counts: NONE, history: [past(4, 'd1', 'lost', 9)] }).broken()).toEqual([])
      },
    )
    test('has a fence of its own where a worker was lost, and the last one where a delivery was', () => {
      expect(swept({ reasonCode: 'worker.lost' }, 4).findings()).toMatch(/G4: run r2 was swept under fence 4/)
      expect(swept({ reasonCode: 'delivery.lost' }, 4).broken()).toEqual([])
    })
  })
})
