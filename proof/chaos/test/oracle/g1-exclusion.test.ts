import { describe, expect, test } from 'vitest'
import { good, retried, Story } from '../support/story.ts'

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
  test('a section that settled itself is over with that, however long its handler goes on', () => {
    const story = (begins: number, outcome: 'succeeded' | 'failed' = 'succeeded') =>
      new Story()
        .with({ settlesInHandler: true, cooldownMs: () => 0 })
        .delivery('d1')
        .delivery('d2')
        .section(1, 0, 90, { runId: 'r1' })
        .settling(1, 50)
        .executed('d1', 91, 1)
        .run('r1', 1, { outcome })
        .section(2, begins, 95, { deliveryId: 'd2', runId: 'r2' })
        .executed('d2', 96, 2)
        .run('r2', 2)
        .broken()
    expect(story(50)).not.toContain('G1')
    expect(story(49)).toContain('G1')
    expect(story(50, 'failed')).toContain('G1')
  })
  test('one fence that begins twice', () => {
    expect(good().section(1, 300, 310).findings()).toMatch(/G1: fence 1 of w began twice/)
  })
})
