import { styleText } from 'node:util'
import type { Run } from '@opsledger/core'

const BAR_WIDTH = 20

/** Lines that stay, and on a terminal, below them, a board of what runs now that is drawn over and over. */
export interface Drawing extends Disposable {
  heading(text: string): void
  line(text: string): void
  detail(text: string): void
  /** What runs now. Without a terminal: a line for each run that got on. */
  running(runs: readonly Run[]): void
}

export function createDrawing(out: NodeJS.WriteStream = process.stdout): Drawing {
  const isLive = out.isTTY === true
  const style = (format: Parameters<typeof styleText>[0], text: string) =>
    styleText(format, text, { stream: out })
  const lastPrinted = new Map<string, string>()
  let board: string[] = []
  let isClosed = false

  const erase = () => {
    if (board.length > 0) out.write(`\u001b[${board.length}A\u001b[0J`)
  }
  const write = (text: string) => {
    if (isClosed) return
    erase()
    out.write(`${[text, ...board].join('\n')}\n`)
  }
  return {
    heading: (text) => write(`\n${style('bold', text)}`),
    line: write,
    detail: (text) => write(style('dim', `    ${text}`)),
    running(runs) {
      if (isClosed) return
      if (isLive) {
        erase()
        // A line that wraps could not be erased.
        const rows = runs.map((run) =>
          `    ${progressBar(run)} ${nameOf(run)}`.slice(0, (out.columns || 80) - 1),
        )
        board = rows.map((row) => style('cyan', row))
        if (board.length > 0) out.write(`${board.join('\n')}\n`)
        return
      }
      for (const run of runs) {
        const counted = countedOf(run)
        if (counted === '' || lastPrinted.get(run.id) === counted) continue
        lastPrinted.set(run.id, counted)
        write(`    ${counted.padEnd(7)} ${nameOf(run)}`)
      }
    },
    [Symbol.dispose]() {
      erase()
      board = []
      isClosed = true
    },
  }
}

/** Enough of a run id to tell it from the others on the screen. */
export function shortId(runId: string | null): string {
  return runId === null ? '–' : runId.slice(-6)
}

function nameOf({ id, type, context, status, attempt }: Run): string {
  const policy = (context as { policy?: string } | null)?.policy
  return `${shortId(id)} ${type}${policy === undefined ? '' : ` "${policy}"`}, ${status}, attempt ${attempt}`
}

function countedOf({ progress }: Run): string {
  return progress === null ? '' : `${progress.processed}/${progress.total ?? '?'}`
}

function progressBar(run: Run): string {
  const { processed, total } = run.progress ?? { processed: 0, total: null }
  const filled = total === null || total === 0 ? 0 : Math.round((BAR_WIDTH * processed) / total)
  return `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${countedOf(run).padEnd(6)}`
}
