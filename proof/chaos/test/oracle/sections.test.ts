import { describe, expect, test } from 'vitest'
import { overlapsIn } from '../../src/oracle/sections.ts'
import { Story } from '../support/story.ts'

const MS = 1_000_000n

describe('a section that did not end by itself', () => {
  const endOf = (tell: (story: Story) => Story) => {
    const { sections } = tell(new Story().section(1, 0, null, { pid: 9 })).ruling()
    return sections[0]!.endedAt
  }

  test.each<[string, (story: Story) => Story, bigint | null]>([
    ['ends when its process is killed', (story) => story.killed(9, 8), 8n * MS],
    ['ends when its process falls', (story) => story.fell(9, 8), 8n * MS],
    ['does not end when another process is killed', (story) => story.killed(8, 8), null],
    ['does not end when its process is frozen', (story) => story.frozen(9, 8, 20), null],
    ['has no known end where nothing is known of its process', (story) => story, null],
    ['does not end with what else its process says', (story) => story.section(2, 5, 6, { pid: 9 }), null],
  ])('%s', (_, tell, endedAt) => {
    expect(endOf(tell)).toBe(endedAt)
  })
})

test('a section that ended before its process was killed keeps its end', () => {
  const { sections } = new Story().section(1, 0, 10, { pid: 9 }).killed(9, 20).ruling()
  expect(sections[0]).toMatchObject({ endedAt: 10n * MS, ending: 'returned' })
})

test('a section settles from its own mark on, if it has one', () => {
  const { sections } = new Story().section(1, 0, 10).section(2, 20, null).settling(1, 5).ruling()
  expect(sections.map(({ settlingAt }) => settlingAt)).toEqual([5n * MS, null])
})

describe('overlaps', () => {
  const overlaps = (...spans: [from: number, to: number | null][]) => {
    const story = new Story()
    for (const [index, [from, to]] of spans.entries()) story.section(index + 1, from, to)
    return overlapsIn(story.ruling().sections).map((pair) => pair.map(({ fence }) => fence))
  }

  test('are those of sections under way at the same time, the earlier one in front', () => {
    expect(overlaps([0, 10], [9, 20])).toEqual([[1, 2]])
    expect(overlaps([9, 20], [0, 10])).toEqual([[2, 1]])
    expect(overlaps([0, 10], [10, 20])).toEqual([])
  })
  test('a section without a known end lasts for ever', () => {
    expect(overlaps([0, null], [1_000_000_000_000, 1_000_000_000_001])).toEqual([[1, 2]])
    expect(overlaps([20, 30], [0, null])).toEqual([[2, 1]])
  })
  test('other works have nothing to do with them', () => {
    const { sections } = new Story().section(1, 0, 10).section(2, 5, 15, { work: 'v' }).ruling()
    expect(overlapsIn(sections)).toEqual([])
  })
})
