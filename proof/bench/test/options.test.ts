import { expect, test } from 'vitest'
import { readOptions, UsageError } from '../src/options.ts'
import { CASE_NAMES, chosen, SUITES } from '../src/plan.ts'

const names = { suites: SUITES.map(({ name }) => name), cases: CASE_NAMES }
const read = (...args: string[]) => readOptions(args, names, {})

test('without options everything runs, five times', () => {
  expect(read()).toMatchObject({ repeats: 5, concurrency: [1, 32, 256, 1000], only: null, isQuick: false })
  expect(chosen(read()).map(({ suite }) => suite.name)).toEqual(names.suites)
})

test('the quick form leaves out what takes minutes, unless it is named', () => {
  expect(chosen(read('--quick')).map(({ suite }) => suite.name)).not.toContain('growth')
  expect(chosen(read('--quick', '--only', 'growth')).map(({ suite }) => suite.name)).toEqual(['growth'])
})

test('what is named alone runs in every suite that has it', () => {
  const left = chosen(read('--only', 'floor', '--concurrency', '32'))
  expect(left.map(({ suite }) => suite.name)).toEqual(['jobs', 'statements', 'slow-commits'])
  for (const { trials } of left) expect(trials).toMatchObject([{ case: 'floor', concurrency: 32 }])
})

test('a suite and a case together are that case in that suite', () => {
  const [one, ...others] = chosen(read('--only', 'jobs,opsledger', '--concurrency', '1,32'))
  expect(others).toEqual([])
  expect(one!.trials.map(({ setting }) => setting)).toEqual(['1', '32'])
})

test.each([
  [['--only', 'flor'], '--only names flor'],
  [['--only', ','], '--only is empty'],
  [['--repeats', '0'], '--repeats is 0'],
  [['--seconds', 'x'], '--seconds is x'],
  [['--concurrency', '1,-2'], '--concurrency is -2'],
  [['--qick'], '--qick'],
  [['extra'], 'extra'],
  [['--quick', '--publish'], '--publish with --quick'],
  [['--only', 'floor', '--publish'], '--publish with --only'],
])('%j is refused in one line', (args, message) => {
  const refused = () => read(...args)
  expect(refused).toThrow(UsageError)
  expect(refused).toThrow(message)
  expect(refused).not.toThrow('\n')
})

test('the servers come from the command line before the environment', () => {
  const env = { OPSLEDGER_DATABASE_URL: 'postgres://a/b', OPSLEDGER_REDIS_URL: 'redis://c' }
  expect(readOptions([], names, env)).toMatchObject({ url: 'postgres://a/b', redisUrl: 'redis://c' })
  expect(readOptions(['--url', 'postgres://d/e'], names, env).url).toBe('postgres://d/e')
})
