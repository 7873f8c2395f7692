import { expect, test } from 'vitest'
import { CommandOptionError } from '../../../tools/lib/command-options.ts'
import { readOptions } from '../src/options.ts'
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
  [['--only', 'flor'], '--only is "flor"; allowed: suites jobs, '],
  [['--only', ','], '--only is ""; allowed: suites jobs, '],
  [['--repeats', '0'], '--repeats is "0"; allowed: a whole number from 1 to 1000'],
  [['--repeats', '--quick'], '--repeats has no value; allowed: a whole number from 1 to 1000'],
  [['--repeats', '2', '--repeats', '3'], '--repeats is given twice; allowed: once'],
  [['--waiting', '1e3'], '--waiting is "1e3"; allowed: a whole number from 1 to 10000000'],
  [['--seconds', 'x'], '--seconds is "x"; allowed: a number from 0.05 to 600'],
  [['--concurrency', '1,-2'], '--concurrency is "-2"; allowed: whole numbers from 1 to 10000'],
  [['--quick=yes'], '--quick is "yes"; allowed: no value'],
  [['--qick'], '--qick is not an option; allowed: --quick, '],
  [['extra'], '"extra" is no option; allowed: --quick, '],
  [['--url', 'mysql://secret@host'], '--url is "…"; allowed: postgres://…'],
  [['--quick', '--publish'], '--publish is given with --quick; allowed: the whole alone'],
  [['--only', 'floor', '--publish'], '--publish is given with --only'],
  [['--growth-runs', '1000', '--publish'], '--publish is given with --growth-runs'],
  [['--waiting', '1', '--publish'], '--publish is given with --waiting'],
])('%j is refused in one line', (args, message) => {
  const refused = () => read(...args)
  expect(refused).toThrow(CommandOptionError)
  expect(refused).toThrow(message)
  expect(refused).not.toThrow('\n')
})

test('the servers come from the command line before the environment', () => {
  const env = { OPSLEDGER_DATABASE_URL: 'postgres://a/b', OPSLEDGER_REDIS_URL: 'redis://c' }
  expect(readOptions([], names, env)).toMatchObject({ url: 'postgres://a/b', redisUrl: 'redis://c' })
  expect(readOptions(['--url', 'postgres://d/e'], names, env).url).toBe('postgres://d/e')
  expect(read().url).toBeNull()
})

test('a wrong server of the environment is told with the name of the variable, and without what may be a password', () => {
  const refused = () => readOptions([], names, { OPSLEDGER_DATABASE_URL: 'mysql://secret@host' })
  expect(refused).toThrow('OPSLEDGER_DATABASE_URL is "…"; allowed: postgres://…')
})
