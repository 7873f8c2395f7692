import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** PGlite's start is work for the processor alone, and so takes as much longer as others are at work. */
const WITHIN_MS = 120_000

const file = new URL('../src/pglite.ts', import.meta.url).pathname

test("a host's unit test of its handler runs on PGlite, where no database is to be found", {
  timeout: WITHIN_MS,
}, async () => {
  const args = ['--conditions=opsledger-source', '--test-reporter=tap', file]
  const nowhere = { PATH: process.env.PATH, PGHOST: '127.0.0.1', PGPORT: '1' }
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env: nowhere })
  expect(stderr).toBe('')
  expect(stdout.match(/^ok .*/gm)).toEqual([
    'ok 1 - an assignment that is gone is counted, and the others are restored',
    'ok 2 - dispatched twice, it runs once',
    'ok 3 - a quarter of an hour later it runs again',
  ])
})
