import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createLimit } from '../src/limit.ts'
import { runLoad } from '../src/load.ts'

test('as many calls as asked for are under way, each with a number of its own', async () => {
  const seen = new Set<number>()
  let running = 0
  let most = 0
  const { calls, allCalls, latenciesMs } = await runLoad(
    async (index) => {
      expect(seen.has(index)).toBe(false)
      seen.add(index)
      most = Math.max(most, ++running)
      await sleep(1)
      running--
    },
    { concurrency: 7, warmUpMs: 20, measure: 50 },
  )
  expect(most).toBe(7)
  expect(running).toBe(0)
  expect(allCalls).toBe(seen.size)
  expect(latenciesMs.length).toBe(calls)
  expect(calls).toBeLessThan(allCalls)
})

test('it is measured for as long as what was begun with it takes', async () => {
  const marks: string[] = []
  const options = {
    concurrency: 1,
    warmUpMs: 0,
    measure: async () => void marks.push('measured'),
    onMark: async (mark: string) => void marks.push(mark),
  }
  await runLoad(() => sleep(1), options)
  expect(marks).toEqual(['begin', 'measured', 'end'])
})

test('the first error of a call ends the load, and all callers have stopped', async () => {
  let running = 0
  const load = runLoad(
    async (index) => {
      running++
      await sleep(1)
      running--
      if (index === 5) throw new Error('the sixth')
    },
    { concurrency: 3, warmUpMs: 60_000, measure: 60_000 },
  )
  await expect(load).rejects.toThrow('the sixth')
  expect(running).toBe(0)
})

test('a limit lets so many in, and lets the next in when one has failed', async () => {
  const limit = createLimit(2)
  let running = 0
  let most = 0
  const works = Array.from({ length: 6 }, (_, n) =>
    limit(async () => {
      most = Math.max(most, ++running)
      await sleep(1)
      running--
      if (n === 0) throw new Error('the first')
      return n
    }),
  )
  const answers = await Promise.allSettled(works)
  expect(most).toBe(2)
  expect(answers.map(({ status }) => status)).toEqual(['rejected', ...Array(5).fill('fulfilled')])
})
