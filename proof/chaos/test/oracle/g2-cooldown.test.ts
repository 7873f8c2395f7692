import { describe, expect, test } from 'vitest'
import { good, Story } from '../support/story.ts'

describe('G2, the cooldown', () => {
  const isBroken = (story: Story) => story.broken().includes('G2')
  const settledFirst = (ending: 'returned' | 'failed' | 'threw' | 'stopped') =>
    new Story().section(1, 0, 10, { ending }).executed('d1', 11, 1).run('r1', 1)

  test('a section within the cooldown of a settled one', () => {
    expect(isBroken(good().section(2, 109, 120, { deliveryId: 'd2' }))).toBe(true)
    expect(isBroken(good().section(2, 110, 120, { deliveryId: 'd2' }))).toBe(false)
  })
  test.each([
    ['returned', true],
    ['failed', true],
    ['threw', false],
    ['stopped', false],
  ] as const)('an attempt that %s starts a cooldown: %s', (ending, isCooling) => {
    expect(isBroken(settledFirst(ending).section(2, 50, 60))).toBe(isCooling)
  })
  test('what never settled starts none', () => {
    const superseded = new Story().section(1, 0, 10).executed('d1', 11, 1, 'superseded').section(2, 50, 60)
    expect(isBroken(superseded)).toBe(false)
  })
  test('a work without a cooldown has none', () => {
    const without = good().with({ cooldownMs: () => 0 })
    expect(isBroken(without.section(2, 5, 15, { deliveryId: 'd2' }))).toBe(false)
  })
  test('the cooldown that lasts longest counts', () => {
    const story = settledFirst('returned')
      .section(2, 20, 90)
      .section(3, 30, 40)
      .run('r2', 2)
      .run('r3', 3)
      .section(4, 150, 160)
    const late = story.ruling().violations.filter(({ what }) => what.includes('"fence":4'))
    expect(late.map(({ guarantee }) => guarantee)).toEqual(['G2'])
  })
  test('left out is a start that the promise leaves out, in the cooldown of that attempt', () => {
    const story = (older: number) =>
      good()
        .with({ isExempt: (earlier, later) => earlier.fence === older && later.fence === 2 })
        .section(2, 50, 60, { deliveryId: 'd2' })
    expect(isBroken(story(1))).toBe(false)
    expect(isBroken(story(7))).toBe(true)
  })
})
