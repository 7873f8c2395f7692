import { readFile } from 'node:fs/promises'

const PAGE = new URL('../../../../docs/decisions/claim.md', import.meta.url)

export interface Cell {
  readonly state: string
  readonly event: string
  /** State afterwards, verdict or answer, and for deliveries the action. */
  readonly expected: readonly string[]
}

/** The cells of the tables of the decision page whose first column is `state` and whose head names `event`. */
export async function readClaimTable(event: string): Promise<Cell[]> {
  const lines = (await readFile(PAGE, 'utf8')).split('\n')
  const head = lines.findIndex((line) => cellsOf(line)[0] === 'state' && cellsOf(line).includes(event))
  if (head === -1) throw new Error(`No table with the event ${event} on the decision page`)
  const events = cellsOf(lines[head]!).slice(1)
  const cells: Cell[] = []
  for (const line of lines.slice(head + 2)) {
    if (!line.startsWith('|')) break
    const [state, ...texts] = cellsOf(line)
    texts.forEach((text, index) => {
      cells.push({ state: state!, event: events[index]!, expected: text.split(', ') })
    })
  }
  return cells
}

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}
