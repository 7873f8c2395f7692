import { styleText } from 'node:util'

/** Lines that stay, and on a terminal a few below them that are drawn over and over. */
export interface Drawing extends Disposable {
  /** Whether lines can be drawn over: a terminal. */
  readonly isLive: boolean
  heading(text: string): void
  line(text: string): void
  detail(text: string): void
  /** What stands below the lines from now on. Nothing where they cannot be drawn over. */
  redraw(rows: readonly Row[]): void
}

export interface Row {
  /** As it fits into so many columns; what is longer is cut between two words. */
  text(columns: number): string
  readonly format: Parameters<typeof styleText>[0]
}

const DEFAULT_COLUMNS = 80

export function createDrawing(out: NodeJS.WriteStream = process.stdout): Drawing {
  const isLive = out.isTTY === true
  const style = (format: Row['format'], text: string) => styleText(format, text, { stream: out })
  let board: string[] = []
  let isClosed = false

  const erase = () => (board.length > 0 ? `\u001b[${board.length}A\u001b[0J` : '')
  const write = (text: string) => {
    if (!isClosed) out.write(`${erase()}${[text, ...board].join('\n')}\n`)
  }
  return {
    isLive,
    heading: (text) => write(`\n${style('bold', text)}`),
    line: write,
    detail: (text) => write(style('dim', `    ${text}`)),
    redraw(rows) {
      if (isClosed || !isLive) return
      // A line that wraps could not be erased.
      const width = (out.columns || DEFAULT_COLUMNS) - 1
      const next = rows.map(({ text, format }) => style(format, fit(text(width), width)))
      if (next.join('\n') === board.join('\n')) return
      const before = erase()
      board = next
      out.write(`${before}${board.map((row) => `${row}\n`).join('')}`)
    },
    [Symbol.dispose]() {
      if (board.length > 0) out.write(erase())
      board = []
      isClosed = true
    },
  }
}

function fit(text: string, width: number): string {
  if (text.length <= width) return text
  const end = text.lastIndexOf(' ', width - 1)
  return `${text.slice(0, end < 0 ? width - 1 : end).trimEnd()}…`
}
