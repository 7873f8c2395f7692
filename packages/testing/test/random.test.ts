import { expect, test } from 'vitest'
import { type Random, randomFrom, seedOf } from '../src/index.ts'

const some = (random: Random) => Array.from({ length: 5 }, () => random.below(1_000))

test('the same seed gives the same numbers, on every machine and in every version', () => {
  expect(some(randomFrom(1))).toEqual([627, 2, 527, 981, 968])
  expect(some(randomFrom(2))).not.toEqual(some(randomFrom(1)))
  expect(seedOf('foobar')).toBe(0xbf9cf968)
})

test('numbers are from 0 to below the end, and each of them comes', () => {
  const random = randomFrom(7)
  const seen = new Set(Array.from({ length: 200 }, () => random.below(6)))
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5])
  expect(['a', 'b']).toContain(random.pick(['a', 'b']))
})

test('a fork depends on its name, and not on how often the others asked', () => {
  const random = randomFrom(1)
  const fresh = some(random.fork('queue'))
  random.next()
  expect(some(random.fork('queue'))).toEqual(fresh)
  expect(some(random.fork('kills'))).not.toEqual(fresh)
  expect(some(randomFrom(2).fork('queue'))).not.toEqual(fresh)
})
