import { expect, test } from 'vitest'
import { overlapsOfFrozen } from '../../src/oracle/frozen.ts'
import { Story } from '../support/story.ts'

const LEASE_MS = 150

/** Whether the overlap of attempt 1, of process 1, with attempt 2, which began at 200 ms, is left out of the promise. */
function exempts(tell: (story: Story) => Story, mode: 'session' | 'lease' = 'lease', unlocked?: Set<number>) {
  // The lease of process 1 ran out at 170 ms, if the story says nothing else of it.
  const told = tell(new Story().section(2, 200, 210, { pid: 2 }))
  const story = told.ledger.retiredLeases.length > 0 ? told : told.retired(1, 170)
  story.modes.set(1, mode).set(2, 'session')
  const { sections } = story.ruling()
  const [older, newer] = [1, 2].map((fence) => sections.find((one) => one.fence === fence)!)
  const isExempt = overlapsOfFrozen(story.evidence(), LEASE_MS, unlocked)
  expect(isExempt(older!, newer!)).toBe(isExempt(newer!, older!))
  return isExempt(older!, newer!)
}

test('left out is the overlap of a worker that was frozen past its lease in lease mode', () => {
  expect(exempts((story) => story.section(1, 0, 240).frozen(1, 20, 230))).toBe(true)
})

test('in session mode only if its lock was gone as well', () => {
  const frozen = (story: Story) => story.section(1, 0, 240).frozen(1, 20, 230)
  expect(exempts(frozen, 'session')).toBe(false)
  expect(exempts(frozen, 'session', new Set([1]))).toBe(true)
  expect(exempts(frozen, 'session', new Set([2]))).toBe(false)
})

test.each<[string, boolean, (story: Story) => Story]>([
  ['never frozen', false, (story) => story],
  ['never thawed', false, (story) => story.frozen(1, 20, null)],
  ['another one frozen', false, (story) => story.frozen(2, 20, 230)],
  ['killed, not frozen', false, (story) => story.killed(1, 20)],
  ['frozen just before its lease ran out', true, (story) => story.frozen(1, 180, 230)],
  ['frozen when its lease had run out', false, (story) => story.frozen(1, 181, 230)],
  ['thawed just after its lease ran out', true, (story) => story.frozen(1, 20, 160)],
  ['thawed before its lease ran out', false, (story) => story.frozen(1, 20, 159)],
  ['taken as its lease ran out', true, (story) => story.frozen(1, 20, 230).retired(1, 210)],
  ['taken before its lease ran out', false, (story) => story.frozen(1, 20, 230).retired(1, 211)],
  ['whose lease nobody retired', false, (story) => story.frozen(1, 20, 230).retired(2, 170)],
  ['frozen when the other had begun', false, (story) => story.frozen(1, 210, 450)],
  ['frozen for a moment before that', true, (story) => story.frozen(1, 5, 10).frozen(1, 20, 230)],
  ['killed after that', true, (story) => story.frozen(1, 20, 230).killed(1, 239)],
])('an attempt until 240 ms of a worker %s: %s', (_, isLeftOut, tell) => {
  expect(exempts((story) => tell(story.section(1, 0, 240)))).toBe(isLeftOut)
})

test('awake, it lets go within a lease', () => {
  const until = (to: number | null) => exempts((story) => story.section(1, 0, to).frozen(1, 20, 230))
  expect(until(379)).toBe(true)
  expect(until(380)).toBe(false)
  expect(until(null)).toBe(false)
  // Over before it was frozen at all.
  expect(until(10)).toBe(false)
})

test('frozen again before it could look, it lets go within a lease of the second time', () => {
  const again = (to: number, from: number) =>
    exempts((story) => story.section(1, 0, to).frozen(1, 20, 230).frozen(1, from, 500))
  expect(again(600, 235)).toBe(true)
  expect(again(650, 235)).toBe(false)
  // The second time came after its end.
  expect(again(400, 400)).toBe(false)
})

test('what was admitted before it was frozen may begin within 100 ms of waking up, and no later', () => {
  const begun = (from: number) => exempts((story) => story.section(1, from, 340).frozen(1, 20, 230))
  expect(begun(330)).toBe(true)
  expect(begun(331)).toBe(false)
})
