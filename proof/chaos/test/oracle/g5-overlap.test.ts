import { describe, expect, test } from 'vitest'
import { good, past, Story } from '../support/story.ts'

const third = () => good().delivery('d3')

describe('G5, a refusal for overlap', () => {
  const refused = (asked: number, when = asked) =>
    third().skipped('d3', when, 'overlap', { fence: 1, deliveryId: 'd1' }, { asked, pid: 2 })

  test('with a holder that had not settled when it asked', () => {
    expect(refused(5).broken()).toEqual([])
    expect(refused(11).broken()).toEqual([])
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
    expect(story(250).broken()).not.toContain('G5')
    expect(story(251).broken()).toContain('G5')
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
  describe('a newcomer that asks its process after the holder settled', () => {
    const byFirst = { fence: 1, deliveryId: 'd1' }
    /** Asked at 20 ms and told at 41; what else its process told of this work comes before. */
    const newcomer = (tell: (story: Story) => Story, pid = 2) =>
      tell(third()).delivery('d4').skipped('d4', 41, 'overlap', byFirst, { asked: 20, pid }).findings()
    const FOUND = /G5: d4 was discarded for overlap, and the holder had settled before/

    test('shares the refusal that its process is waiting for', () => {
      const waiting = (story: Story) => story.skipped('d3', 40, 'overlap', byFirst, { asked: 5, pid: 2 })
      expect(newcomer(waiting)).toBe('')
      expect(newcomer(waiting, 3)).toMatch(FOUND)
      // Until its answer, and with the one that asked first.
      expect(newcomer((story) => story.skipped('d3', 20, 'overlap', byFirst, { asked: 5, pid: 2 }))).toBe('')
      expect(
        newcomer((story) => waiting(story).skipped('d3', 42, 'overlap', byFirst, { asked: 11, pid: 2 })),
      ).toBe('')
    })
    test.each<[string, (story: Story) => Story]>([
      ['nobody asked', (story) => story],
      [
        'had its answer already',
        (story) => story.skipped('d3', 19, 'overlap', byFirst, { asked: 5, pid: 2 }),
      ],
      [
        'was refused for another reason',
        (story) => story.skipped('d3', 40, 'cooldown', byFirst, { asked: 5, pid: 2 }),
      ],
      [
        'was refused for another holder',
        (story) => story.skipped('d3', 40, 'overlap', { fence: 7, deliveryId: 'd1' }, { asked: 5, pid: 2 }),
      ],
      ['was executed', (story) => story.executed('d3', 40, 7, 'superseded', { asked: 5, pid: 2 })],
    ])('shares none where the other one %s', (_, tell) => {
      expect(newcomer(tell)).toMatch(FOUND)
    })
  })
  describe('with a holder that was cut off', () => {
    const GONE = /G5: d3 was discarded for overlap, and the holder was gone, and another had executed/
    /** Nobody was told of attempt 1, of process 9; others executed from 100 and from 300 ms. */
    const cutOff = (asked: number, tell: (story: Story) => Story) =>
      tell(new Story().section(1, 0, null, { pid: 9 }))
        .section(2, 100, 110)
        .executed('d1', 111, 2, 'settled', { asked: 99 })
        .section(3, 300, 310)
        .executed('d1', 311, 3, 'settled', { asked: 299 })
        // The ledger has forgotten it: its own mark is enough.
        .run('r1', 3, { history: [past(2, 'd1', 'succeeded')] })
        .skipped('d3', asked, 'overlap', { fence: 1, deliveryId: 'd1' }, { pid: 2 })
        .findings()

    test.each<[string, number, boolean, (story: Story) => Story]>([
      ['before another has executed', 100, false, (story) => story.killed(9, 5)],
      ['when another has', 101, true, (story) => story.killed(9, 5)],
      ['when another has, and it was killed only then', 200, false, (story) => story.killed(9, 200)],
      ['when another has, and it was killed since', 201, true, (story) => story.killed(9, 200)],
      ['when another has, and it fell since', 201, true, (story) => story.fell(9, 200)],
      ['at any time, while its process lives', 5_000, false, (story) => story],
    ])('%s', (_, asked, isGone, tell) => {
      const findings = cutOff(asked, tell)
      if (isGone) expect(findings).toMatch(GONE)
      else expect(findings).not.toMatch(/G5: d3/)
    })

    test('at any time, where nobody executed it again', () => {
      const story = new Story()
        .section(1, 0, null, { pid: 9 })
        .killed(9, 5)
        .skipped('d3', 5_000, 'overlap', { fence: 1, deliveryId: 'd1' }, { pid: 2 })
      expect(story.findings()).not.toMatch(/G5: d3/)
    })
  })
  test('with a holder whose settlement was given up, also after that', () => {
    const story = (settlement: 'unconfirmed' | 'superseded') =>
      new Story()
        .with({ mayBeUnconfirmed: () => true })
        .section(1, 0, 10)
        .executed('d1', 11, 1, settlement)
        .skipped('d3', 50, 'overlap', { fence: 1, deliveryId: 'd1' }, { pid: 2 })
    expect(story('unconfirmed').findings()).not.toMatch(/G5: d3/)
    expect(story('superseded').findings()).toMatch(/G5: d3 .* and the holder had settled before/)
  })
  test('with a holder that was handed back before its handler began', () => {
    const story = good()
      .executed('d2', 60, 9, 'settled', { isHandedBack: true, asked: 50 })
      .skipped('d3', 55, 'overlap', { fence: 9, deliveryId: 'd2' }, { pid: 2 })
    expect(story.findings()).not.toMatch(/G5: d3/)
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
        .run('r1', 2, { history: [past(1, 'd1', 'lost', 9)] })
        .skipped('d3', asked, 'overlap', { fence: 1, deliveryId: 'd1', pid: 9 }, { pid })
    expect(story(9).findings()).not.toMatch(/and the holder was gone/)
    expect(story(8).findings()).toMatch(/G5: .* and the holder was gone/)
    expect(story(9, 201).findings()).toMatch(/G5: .* and the holder was gone/)
  })
  describe('with a holder of the same process that was taken before its handler began, while it asks again', () => {
    const GONE = /G5: d3 .* and the holder was gone, and another had executed/
    /** Attempt 1 of d1 was admitted to process 9 while that was frozen; d2 executed meanwhile, from 100 ms. */
    const taken = (asked: number, tell: (story: Story) => Story, pid = 9, at = asked) =>
      tell(new Story())
        .section(2, 100, 110, { deliveryId: 'd2' })
        .executed('d2', 111, 2, 'settled', { asked: 99 })
        .run('r1', 2, { history: [past(1, 'd1', 'lost', 9)] })
        .skipped('d3', at, 'overlap', { fence: 1, deliveryId: 'd1', pid: 9 }, { asked, pid })
        .findings()
    /** What d1 is told in the end. */
    const told =
      (asked: number, at: number, pid = 9) =>
      (story: Story) =>
        story.skipped('d1', at, 'already_terminal', null, { asked, pid })
    test('not a delivery that is put off for nothing but itself', () => {
      const itself = new Story()
        .section(2, 100, 110, { deliveryId: 'd2' })
        .executed('d2', 111, 2, 'settled', { asked: 99 })
        .run('r1', 2, { history: [past(1, 'd1', 'lost', 9)] })
        .skipped(
          'd1',
          150,
          'overlap',
          { fence: 1, deliveryId: 'd1', pid: 9 },
          { asked: 120, pid: 9, action: 'retry_later' },
        )
      expect(itself.findings()).toMatch(/G5: d1 was put off .* and the holder was gone/)
    })
    /** It is admitted once more, and nobody is told how that ended. */
    const begun =
      (pid: number, deliveryId = 'd1') =>
      (story: Story) =>
        story.section(3, 130, null, { pid, deliveryId }).killed(pid, 200)

    test.each<[string, boolean, string]>([
      ['until its delivery is told', false, taken(150, told(0, 160))],
      ['in the moment in which it is', false, taken(160, told(0, 160))],
      ['not after that', true, taken(161, told(0, 160))],
      ['from when its delivery asked', false, taken(150, told(150, 160))],
      ['not before that', true, taken(150, told(151, 160))],
      ['not where its delivery asks another process', true, taken(150, told(0, 160, 7))],
      ['not by another process', true, taken(150, told(0, 160), 8)],
      ['not by another process that its delivery asks as well', true, taken(150, told(0, 160, 8), 8)],
      ['until it is cut off, executing after all', false, taken(150, begun(9))],
      ['from when it is known to have asked', false, taken(120, begun(9), 9, 130)],
      ['not where another process executes it', true, taken(150, begun(7))],
      ['not where it executes another delivery', true, taken(150, begun(9, 'd4'))],
      [
        'not where that had an end that was told',
        true,
        taken(150, (story) =>
          story.section(3, 120, 130, { pid: 9 }).executed('d1', 131, 3, 'superseded', { pid: 9 }),
        ),
      ],
    ])('%s', (_, isGone, findings) => {
      if (isGone) expect(findings).toMatch(GONE)
      else expect(findings).not.toMatch(/G5: d3/)
    })
  })
  test('with a holder that was killed before its handler began, if the ledger remembers it', () => {
    const story = (holder: string) =>
      new Story()
        .delivery('d1')
        .delivery('d3')
        .killed(9, 5)
        .section(2, 100, 110)
        .executed('d1', 111, 2, 'settled', { asked: 99 })
        .run('r1', 2, { history: [past(1, 'd1', 'lost', 9)] })
        .skipped('d3', 50, 'overlap', { fence: 1, deliveryId: holder }, { pid: 2 })
    expect(story('d1').broken()).toEqual([])
    expect(story('d7').broken()).toEqual(['G5'])
    // A run of other work remembers nothing of this one.
    const ofOther = story('d1')
      .delivery('d9', { work: 'v' })
      .section(9, 0, 10, { work: 'v', runId: 'r9', deliveryId: 'd9' })
      .executed('d9', 11, 9, 'settled', { work: 'v' })
      .run('r9', 9, { history: [past(1, 'd1', 'lost', 9)] })
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
