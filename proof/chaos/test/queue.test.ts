import { randomFrom } from '@opsledger/testing'
import { expect, test } from 'vitest'
import { makeJobs } from '../src/arena/jobs.ts'
import { createQueue, type Taker } from '../src/arena/queue.ts'

/** Takes everything, and says what. */
function createTaker(number: number, freeHands: number) {
  const taken: string[] = []
  const taker: Taker = { number, freeHands, take: (_, job) => taken.push(job.deliveryId) }
  return { taker, taken }
}

const jobs = makeJobs(randomFrom(1), { name: 'q', works: 60 })

function handOut(seed: number, takers: readonly ReturnType<typeof createTaker>[]) {
  const queue = createQueue(randomFrom(seed).fork('queue'))
  for (const { taker } of takers) queue.attach(taker)
  queue.add(jobs)
  return takers.toSorted((a, b) => a.taker.number - b.taker.number).map(({ taken }) => taken)
}

test('the same seed gives the same deliveries to the same workers, in whatever order they came', () => {
  const crew = () => [0, 1, 2].map((number) => createTaker(number, Number.POSITIVE_INFINITY))
  const once = handOut(5, crew())
  expect(handOut(5, crew().reverse())).toEqual(once)
  expect(handOut(6, crew())).not.toEqual(once)
  for (const taken of once) expect(taken.length).toBeGreaterThan(jobs.length / 6)
})

test('who gets a delivery does not depend on who was free for those before', () => {
  const all = handOut(
    5,
    [0, 1, 2].map((number) => createTaker(number, Number.POSITIVE_INFINITY)),
  )
  const two = handOut(
    5,
    [0, 1, 2].map((number) => createTaker(number, number === 2 ? 0 : Number.POSITIVE_INFINITY)),
  )
  expect(two[0]).toEqual(expect.arrayContaining(all[0]!))
  expect(two[1]).toEqual(expect.arrayContaining(all[1]!))
})

test('a queue that is abandoned keeps nobody waiting', async () => {
  const queue = createQueue(randomFrom(1))
  queue.add(jobs)
  const waiting = queue.below(1)
  queue.abandon(new Error('Interrupted'))
  await expect(waiting).rejects.toThrow('Interrupted')
  await expect(queue.below(1)).rejects.toThrow('Interrupted')
  expect(() => queue.size).toThrow('Interrupted')
  expect(() => queue.add(jobs)).toThrow('Interrupted')
})
