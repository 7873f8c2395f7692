import { describe, expect, test } from 'vitest'
import { past, Story } from '../support/story.ts'

describe('a settlement that is told of is in the tables', () => {
  /** As many attempts threw, the next one succeeded; the history has the newest of those before it. */
  const long = (
    threw: number,
    { kept = threw, lost = 0, told = 'settled' as 'settled' | 'superseded' } = {},
  ) => {
    const story = new Story().with({ cooldownMs: () => 0 }).delivery('d1')
    const fences = Array.from({ length: threw }, (_, index) => index + 1)
    for (const fence of fences) {
      story
        .section(fence, fence * 10, fence * 10 + 5, { ending: 'threw' })
        .executed('d1', fence * 10 + 6, fence, fence === 1 ? told : 'settled', { asked: fence * 10 - 1 })
    }
    const last = threw + 1
    return story
      .section(last, last * 10, last * 10 + 5)
      .executed('d1', last * 10 + 6, last)
      .run('r1', last, {
        history: fences.slice(-kept).map((fence) => past(fence, 'd1', fence === lost ? 'lost' : 'failed')),
      })
  }

  test('or older than a full history, which holds twenty attempts', () => {
    expect(long(20).broken()).toEqual([])
    expect(long(21, { kept: 20 }).broken()).toEqual([])
    expect(long(20, { kept: 19 }).broken()).toEqual(['G5'])
  })
  test('a full history excuses nothing that it holds, and no other run', () => {
    expect(long(21, { kept: 20, lost: 5 }).broken()).toEqual(['G5'])
    expect(long(21, { kept: 20, lost: 2 }).broken()).toEqual(['G5'])
    const ofAnother = long(21, { kept: 20 })
      .section(0, 500, 510, { runId: 'r2', ending: 'threw' })
      .executed('d1', 511, 0)
    expect(ofAnother.broken()).toEqual(['G5'])
  })
  test('who is older and was told superseded has settled nothing', () => {
    expect(long(21, { kept: 20, told: 'superseded' }).broken()).toEqual([])
  })
  test('a work is judged in the order in which it was executed, whatever order it is told in', () => {
    const story = new Story()
      .delivery('d1')
      .section(2, 50, 60)
      .executed('d1', 61, 2)
      .section(1, 0, 10)
      .executed('d1', 11, 1)
      .run('r1', 2, { history: [past(1, 'd1', 'succeeded')] })
    expect(story.findings()).toMatch(/G2: .*"fence":2,.* started within the cooldown/)
  })
})

describe('an attempt that settles in its handler', () => {
  const settling = () => new Story().with({ settlesInHandler: true }).delivery('d1')

  test('has succeeded where its run has, whether it was cut off or told that nobody knows', () => {
    const cut = settling().section(1, 0, null, { pid: 9 }).killed(9, 10).skipped('d1', 20, 'already_terminal')
    // Its run is found among others.
    expect(cut.run('r0', 7, { status: 'retrying' }).run('r1', 1).findings()).not.toMatch(/run r1/)
    const stopped = settling().section(1, 0, 10, { ending: 'stopped' }).executed('d1', 11, 1).run('r1', 1)
    expect(stopped.broken()).toEqual([])
  })
  test.each(['threw', 'failed'] as const)('has not where it %s', (ending) => {
    const story = settling().section(1, 0, 10, { ending }).executed('d1', 11, 1).run('r1', 1)
    expect(story.broken()).toContain('G4')
  })
  test('has not where another attempt ended the run', () => {
    const again = (runId: string) =>
      settling()
        .section(1, 0, null, { pid: 9 })
        .killed(9, 10)
        .section(2, 20, 30, { runId })
        .executed('d1', 31, 2)
        .run(runId, 2, { history: [past(1, 'd1', 'lost', 9)] })
    expect(again('r1').broken()).toEqual([])
    expect(again('r2').broken()).toEqual(['G4'])
  })
  test('shows the counts that its handler told, where it did', () => {
    const counted = (total: number, to: number | null) =>
      settling()
        .section(1, 0, to, { ending: 'stopped', pid: 9 })
        .killed(9, 15)
        .skipped('d1', 20, 'already_terminal')
        .run('r1', 1, { counts: { total, processed: total, failed: 0 } })
        .broken()
    expect(counted(1, 10)).toEqual([])
    expect(counted(7, 10)).toEqual(['G4'])
    expect(counted(7, null)).toEqual([])
  })
})
