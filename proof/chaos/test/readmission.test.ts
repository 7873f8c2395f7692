import { expect, test } from 'vitest'
import { readmissionsAfterKills } from '../src/oracle/readmission.ts'
import { past, Story } from './support/story.ts'

const waits = (story: Story): number[] =>
  readmissionsAfterKills(story.ruling().sections, story.evidence()).map(Math.round)

/** Cut off by a kill at 5, executed again at 200. */
const cutOff = () =>
  new Story().delivery('d1').section(1, 0, null, { pid: 9 }).killed(9, 5).section(4, 200, 210)

test('re-admission counts from the kill to the next section of the work', () => {
  expect(waits(cutOff().run('r1', 4, { history: [past(1, 'd1', 'lost')] }))).toEqual([195])
})

test('it counts from the second kill where that met an attempt whose handler had not begun', () => {
  const between = (fence: number, workerId: string) => {
    const story = cutOff().killed(8, 90)
    story.ledger.pids = new Map([['second', 8]])
    const lost = { ...past(fence, 'd1', 'lost'), workerId }
    return waits(story.run('r1', 4, { history: [past(1, 'd1', 'lost'), lost] }))
  }
  expect(between(3, 'second')).toEqual([110])
  // Not for whoever had nothing of it, or came later.
  expect(between(3, 'another')).toEqual([195])
  expect(between(5, 'second')).toEqual([195])
})

test('what nobody cut off, or executed again, is left out', () => {
  expect(waits(new Story().delivery('d1').section(1, 0, 10).section(2, 20, 30).run('r1', 2))).toEqual([])
  expect(waits(new Story().delivery('d1').section(1, 0, null, { pid: 9 }).killed(9, 5).run('r1', 1))).toEqual(
    [],
  )
})
