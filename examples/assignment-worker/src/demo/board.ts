import type { Run } from '@opsledger/core'
import type { Drawing, Row } from './draw.ts'
import { nameOf } from './run-names.ts'

/** In columns; on a narrow terminal the bar gives way to the words before it is left out. */
const BAR_WIDTH = 20
const MIN_BAR_WIDTH = 5
/** Without a terminal, a running attempt is told of this often: its start and its end are told anyway. */
const PARTS = 4

/** One execution of a run. */
interface Attempt {
  readonly runId: string
  readonly attempt: number
}

/**
 * What runs now, from the ledger's open runs: bars on a terminal, elsewhere a line for each quarter. What was seen to
 * happen to an attempt since they were read goes before what they say.
 */
export interface Board {
  show(openRuns: readonly Run[]): void
  /** Its worker is dead: the ledger goes on showing it as running until the lease has run out. */
  killed(attempt: Attempt): void
  /** Its bar goes at once, not with the next read. */
  settled(attempt: Attempt): void
  /** Its job is done: what is shown of the run goes, where nobody said that it settled. */
  concluded(runId: string): void
}

export function createBoard(draw: Drawing): Board {
  const over = new Map<string, 'killed' | 'settled'>()
  const told = new Map<string, number>()
  let read: readonly Run[] = []

  const tell = (run: Run) => {
    const { processed = 0, total = null } = run.progress ?? {}
    if (total === null || total === 0) return
    const part = Math.floor((PARTS * processed) / total)
    if (part === 0 || part === PARTS || part <= (told.get(keyOf(run)) ?? 0)) return
    told.set(keyOf(run), part)
    draw.detail(`${countedOf(run).padEnd(6)} ${describe(run)}`)
  }

  const fateOf = (run: Run) => (run.status === 'running' ? over.get(keyOf(run)) : undefined)
  const redraw = (): readonly Run[] => {
    const shown = read.filter((run) => fateOf(run) !== 'settled')
    draw.redraw(shown.map((run) => rowOf(run, fateOf(run) === 'killed')))
    return shown
  }

  return {
    show(openRuns) {
      read = openRuns
      const shown = redraw()
      if (draw.isLive) return
      for (const run of shown) if (run.status === 'running' && fateOf(run) === undefined) tell(run)
    },
    killed(attempt) {
      over.set(keyOf(attempt), 'killed')
      redraw()
    },
    settled(attempt) {
      over.set(keyOf(attempt), 'settled')
      redraw()
    },
    concluded(runId) {
      for (const run of read) if (run.id === runId) over.set(keyOf(run), 'settled')
      redraw()
    },
  }
}

const keyOf = (of: Attempt | Run): string => `${'runId' in of ? of.runId : of.id} ${of.attempt}`

const describe = (run: Run): string => `${nameOf(run)}, ${run.status}, attempt ${run.attempt}`

function rowOf(run: Run, isKilled: boolean): Row {
  const [full, words] = isKilled
    ? ['▒', `worker killed: ${nameOf(run)}, attempt ${run.attempt}`]
    : ['█', describe(run)]
  const counted = countedOf(run).padEnd(6)
  return {
    text(columns) {
      const width = Math.min(columns - `     ${counted} ${words}`.length, BAR_WIDTH)
      const drawn = width < MIN_BAR_WIDTH ? '' : `${bar(run, full, width)} `
      return `    ${drawn}${counted} ${words}`
    },
    format: isKilled ? 'red' : 'cyan',
  }
}

function bar(run: Run, full: string, width: number): string {
  const { processed, total } = run.progress ?? { processed: 0, total: null }
  const filled = total === null || total === 0 ? 0 : Math.round((width * processed) / total)
  return `${full.repeat(filled)}${'░'.repeat(width - filled)}`
}

function countedOf({ progress }: Run): string {
  return progress === null ? '' : `${progress.processed}/${progress.total ?? '?'}`
}
