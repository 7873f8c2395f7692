import { expect, test } from 'vitest'
import { readmissionsAfterKills } from '../../src/oracle/readmission.ts'
import { past, Story } from '../support/story.ts'

const waits = (story: Story): number[] =>
  readmissionsAfterKills(story.ruling().sections, story.evidence()).map(Math.round)

/** Cut off by a kill at 5, executed again at 200. */
const cutOff = () => new Story().section(2, 0, null, { pid: 9 }).killed(9, 5).section(5, 200, 210)

test('re-admission counts from the kill to the next section of the work', () => {
  const others = cutOff().section(3, 50, 60, { work: 'v' }).section(4, 90, 95, { work: 'u' })
  expect(waits(others.run('r1', 5, { history: [past(2, 'd1', 'lost', 9)] }))).toEqual([195])
  // Told in any order.
  expect(waits(cutOff().section(4, 100, 110).run('r1', 5))).toEqual([95])
})

test('it counts from the last kill that met an attempt whose handler had not begun', () => {
  const between = (...history: ReturnType<typeof past>[]) =>
    waits(
      cutOff()
        .killed(7, 3)
        .killed(8, 90)
        .run('r1', 5, { history: [past(2, 'd1', 'lost', 9), ...history] }),
    )
  expect(between(past(3, 'd1', 'lost', 8))).toEqual([110])
  expect(between(past(3, 'd1', 'lost', 7))).toEqual([195])
  expect(between(past(3, 'd1', 'lost', 7), past(4, 'd1', 'lost', 8))).toEqual([110])
  // Not for whoever was not killed, had let go of it, or came before or later.
  expect(between(past(3, 'd1', 'lost', 6))).toEqual([195])
  expect(between(past(3, 'd1', 'failed', 8))).toEqual([195])
  expect(between(past(1, 'd1', 'lost', 8))).toEqual([195])
  expect(between(past(5, 'd1', 'lost', 8))).toEqual([195])
  // The ledger has forgotten the run.
  expect(waits(cutOff())).toEqual([195])
})

test.each<[string, Story]>([
  ['nobody cut off', new Story().section(1, 0, 10).section(2, 20, 30)],
  [
    'ended before its process was killed',
    new Story().section(1, 0, 10).killed(1, 15).section(2, 20, 30, { pid: 2 }),
  ],
  ['was cut off by something else', new Story().section(1, 0, null).frozen(1, 5, 50).section(2, 20, 30)],
  ['nobody executed again', new Story().section(1, 0, null).killed(1, 5)],
])('what %s is left out', (_, story) => {
  expect(waits(story)).toEqual([])
})
