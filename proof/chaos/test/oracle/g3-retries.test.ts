import { describe, expect, test } from 'vitest'
import { good, LATER, past, Story } from '../support/story.ts'

describe('G3, retries', () => {
  const failed = (ending: 'threw' | 'stopped' = 'threw') =>
    new Story()
      .delivery('d1')
      .section(1, 0, 10, { ending })
      .executed('d1', 11, 1)
      .run('r1', 1, { status: 'retrying', outcome: 'pending', history: [past(1, 'd1')] })
  const byFirst = { fence: 1, deliveryId: 'd1' }
  const bySecond = { fence: 2, deliveryId: 'd2' }

  test.each(['threw', 'stopped'] as const)(
    'a retry that is refused for the failure before it, which %s',
    (ending) => {
      const { violations } = failed(ending).skipped('d1', 12, 'cooldown', byFirst).ruling()
      const found = violations.filter(({ guarantee }) => guarantee === 'G3')
      expect(found.map(({ what }) => what.split(':')[0])).toEqual([
        'd1 was refused for a failure that is to be retried',
      ])
    },
  )
  test('also when an answer that decides nothing lies between', () => {
    const story = failed()
      .section(7, 0, 5, { runId: 'r7', deliveryId: 'd7' })
      .skipped('d1', 12, 'lock_busy', null, { action: 'retry_later' })
      .unavailable('d1', 13, 'database_unavailable')
      // Names somebody whose cooldown was over when it asked.
      .skipped('d1', 700, 'cooldown', { fence: 7, deliveryId: 'd7' })
    expect(story.broken()).toContain('G3')
  })
  test('the failure is that of its last attempt before it asked', () => {
    const reopened = new Story()
      .section(1, 0, 10, { ending: 'failed' })
      .executed('d1', 11, 1)
      .section(2, 200, 210, { ending: 'threw' })
      .executed('d1', 211, 2, 'settled', { asked: 199 })
      .skipped('d1', 220, 'cooldown', { fence: 7, deliveryId: 'd7' })
      .run('r1', 2, { status: 'retrying', history: [past(1, 'd1'), past(2, 'd1')] })
    expect(reopened.broken()).toContain('G3')
    const before = new Story()
      .skipped('d1', 5, 'cooldown', { fence: 7, deliveryId: 'd7' })
      .section(1, 10, 20, { ending: 'threw' })
      .executed('d1', 21, 1, 'settled', { asked: 9 })
      .run('r1', 1, { status: 'retrying', history: [past(1, 'd1')] })
    expect(before.broken()).not.toContain('G3')
  })
  test('an overlap, or the cooldown of what ended for good, is none of its business', () => {
    expect(failed().skipped('d1', 5, 'overlap', byFirst, LATER).broken()).not.toContain('G3')
    expect(good().skipped('d1', 20, 'cooldown', byFirst).broken()).toEqual([])
  })
  test('not when another delivery has ended the work', () => {
    const story = (asked: number) =>
      failed()
        .delivery('d2')
        .section(2, 20, 30, { deliveryId: 'd2' })
        .executed('d2', 40, 2)
        .skipped('d1', asked, 'cooldown', bySecond)
        .run('r1', 2, { history: [past(1, 'd1')] })
    expect(story(41).broken()).toEqual([])
    // It cools down from its settlement, which is later than the end of its handler.
    expect(story(135).broken()).toEqual([])
  })
  test.each<[string, (story: Story) => Story]>([
    ['was superseded', (story) => story.section(2, 20, 30, { deliveryId: 'd2' })],
    [
      'threw as well',
      (story) =>
        story
          .section(2, 20, 30, { deliveryId: 'd2', ending: 'threw' })
          .run('r1', 2, { status: 'retrying', history: [past(1, 'd1'), past(2, 'd2')] }),
    ],
  ])('but when the other one %s', (_, tell) => {
    const story = tell(failed()).skipped('d1', 40, 'cooldown', { fence: 7, deliveryId: 'd7' })
    expect(story.broken()).toContain('G3')
  })
  test('an attempt that was taken over and settled all the same cools down from its end', () => {
    // Under the older fence, while the retry was under way.
    const story = (asked: number) =>
      new Story()
        .section(1, 0, 25, { deliveryId: 'd2' })
        .section(2, 20, 30, { ending: 'threw' })
        .executed('d1', 31, 2)
        .skipped('d1', asked, 'cooldown', { fence: 1, deliveryId: 'd2' })
        .run('r1', 1)
    expect(story(124).broken()).not.toContain('G3')
    expect(story(125).broken()).toContain('G3')
  })
})
