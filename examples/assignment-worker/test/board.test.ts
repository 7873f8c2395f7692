import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import type { Run } from '@opsledger/core'
import { expect, test } from 'vitest'
import { createBoard } from '../src/demo/board.ts'
import { createDrawing } from '../src/demo/draw.ts'

const RUN_ID = '00000000-0000-7000-8000-000000c0ffee'

function running(processed: number, attempt = 1): Run[] {
  const run: Partial<Run> = {
    id: RUN_ID,
    type: 'assignment.fetch',
    status: 'running',
    attempt,
    context: { policy: 'twice' },
    progress: { total: 30, processed, failed: 0 },
  }
  return [run as Run]
}

/** A board, and what it wrote since it was last asked. */
function boardOn(terminal: { isTTY: boolean; columns?: number | undefined }) {
  const out = new PassThrough({ encoding: 'utf8' })
  const draw = createDrawing(Object.assign(out, terminal) as unknown as NodeJS.WriteStream)
  return { draw, board: createBoard(draw), written: () => String(out.read() ?? '') }
}

test('without a terminal it tells of each quarter once', () => {
  const { board, written } = boardOn({ isTTY: false })
  for (let processed = 0; processed <= 30; processed++) {
    board.show(running(processed))
    board.show(running(processed))
  }
  expect(written().split('\n')).toEqual([
    '    8/30   c0ffee assignment.fetch "twice", running, attempt 1',
    '    15/30  c0ffee assignment.fetch "twice", running, attempt 1',
    '    23/30  c0ffee assignment.fetch "twice", running, attempt 1',
    '',
  ])
})

test('a late read says nothing of an attempt that is over, and the next attempt is told of again', () => {
  const { board, written } = boardOn({ isTTY: false })
  board.settled({ runId: RUN_ID, attempt: 1 })
  board.killed({ runId: RUN_ID, attempt: 2 })
  board.show(running(20, 1))
  board.show(running(20, 2))
  expect(written()).toBe('')
  board.show(running(20, 3))
  expect(written()).toContain('20/30  c0ffee assignment.fetch "twice", running, attempt 3')
})

test('on a terminal it is drawn over, below the lines that stay', () => {
  const { draw, board, written } = boardOn({ isTTY: true, columns: 120 })
  board.show(running(15))
  const first = written()
  expect(first).toContain(`${'█'.repeat(10)}${'░'.repeat(10)} 15/30`)
  board.show(running(15))
  expect(written()).toBe('')
  draw.line('a line')
  expect(written()).toBe(`\u001b[1A\u001b[0Ja line\n${first}`)
})

test.each([
  [120, `    ${'█'.repeat(20)} 30/30  c0ffee assignment.fetch "twice", running, attempt 1`],
  [80, `    ${'█'.repeat(16)} 30/30  c0ffee assignment.fetch "twice", running, attempt 1`],
  [70, `    ${'█'.repeat(6)} 30/30  c0ffee assignment.fetch "twice", running, attempt 1`],
  [60, '    30/30  c0ffee assignment.fetch "twice", running,…'],
  [undefined, `    ${'█'.repeat(16)} 30/30  c0ffee assignment.fetch "twice", running, attempt 1`],
])('on a terminal of %s columns it fits, and no word is cut', (columns, shown) => {
  const { board, written } = boardOn({ isTTY: true, columns })
  board.show(running(30))
  const line = stripVTControlCharacters(written()).trimEnd()
  expect(line).toBe(shown)
  expect(line.length).toBeLessThan(columns ?? 80)
})

test('the bar of an attempt that settled goes at once, and no read that was under way brings it back', () => {
  const { draw, board, written } = boardOn({ isTTY: true, columns: 120 })
  board.show(running(30))
  written()
  board.settled({ runId: RUN_ID, attempt: 1 })
  expect(written()).toBe('\u001b[1A\u001b[0J')
  board.show(running(30))
  draw.heading('the next scene')
  expect(written()).not.toContain('running')
})

test('so does the bar of a run whose job is done, and not that of its later attempts', () => {
  const { board, written } = boardOn({ isTTY: true, columns: 120 })
  board.show(running(30))
  written()
  board.concluded(RUN_ID)
  board.show(running(30))
  expect(written()).toBe('\u001b[1A\u001b[0J')
  board.show(running(3, 2))
  expect(written()).toContain('running, attempt 2')
})

test('a killed attempt is shown as killed for as long as the ledger has it as running', () => {
  const { board, written } = boardOn({ isTTY: true, columns: 120 })
  board.killed({ runId: RUN_ID, attempt: 1 })
  board.show(running(15))
  expect(written()).toMatch(/▒{10}░{10} 15\/30 {2}worker killed: c0ffee assignment.fetch "twice", attempt 1/)
  board.show(running(3, 2))
  expect(written()).toMatch(/running, attempt 2/)
  board.show([])
  expect(written()).toBe('\u001b[1A\u001b[0J')
})
