import { expect, test } from 'vitest'
import { type Effect, judgeHostWrites } from '../../src/oracle/g8-host-writes.ts'
import { good } from '../support/story.ts'

const EFFECT: Effect = { run_id: 'r1', fence: 1, amount: 1 }
/** One that succeeded, and one that failed. */
const runs = [...good().run('r2', 2, { outcome: 'failed' }).runs.values()]

test('G8: one effect of the run that succeeded, and none of the one that failed, is right', () => {
  expect(judgeHostWrites([EFFECT], runs)).toEqual([])
})

test.each<[string, Effect[], string]>([
  ['none', [], 'run r1 is succeeded at fence 1, its effects: none'],
  ['twice', [EFFECT, EFFECT], 'run r1 is succeeded at fence 1, its effects: fence 1, fence 1'],
  ['of another attempt', [{ ...EFFECT, fence: 2 }], 'run r1 is succeeded at fence 1, its effects: fence 2'],
  ['of another amount', [{ ...EFFECT, amount: 2 }], 'run r1 is succeeded at fence 1, its effects: fence 1'],
  [
    'of a run that failed',
    [EFFECT, { ...EFFECT, run_id: 'r2' }],
    'run r2 is failed at fence 2, its effects: fence 1',
  ],
  [
    'of a run that is not there',
    [EFFECT, { ...EFFECT, run_id: 'nobody' }],
    'an effect of fence 1 names run nobody, which is not there',
  ],
])('G8: host writes, %s', (_, effects, what) => {
  expect(judgeHostWrites(effects, runs)).toEqual([{ guarantee: 'G8', what }])
})
