import type { Run } from '@opsledger/core'
import type { Drawing, Row } from './draw.ts'
import { nameOf } from './run-names.ts'

const BAR_WIDTH = 20
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
  settled(attempt: Attempt): void
}

export function createBoard(draw: Drawing): Board {
  const over = new Map<string, 'killed' | 'settled'>()
  const told = new Map<string, number>()

  const tell = (run: Run) => {
    const { processed = 0, total = null } = run.progress ?? {}
    if (total === null || total === 0) return
    const part = Math.floor((PARTS * processed) / total)
    if (part === 0 || part === PARTS || part <= (told.get(keyOf(run)) ?? 0)) return
    told.set(keyOf(run), part)
    draw.detail(`${countedOf(run).padEnd(6)} ${describe(run)}`)
  }

  return {
    show(openRuns) {
      const fateOf = (run: Run) => (run.status === 'running' ? over.get(keyOf(run)) : undefined)
      const shown = openRuns.filter((run) => fateOf(run) !== 'settled')
      draw.redraw(shown.map((run) => rowOf(run, fateOf(run) === 'killed')))
      if (draw.isLive) return
      for (const run of shown) if (run.status === 'running' && fateOf(run) === undefined) tell(run)
    },
    killed: (attempt) => void over.set(keyOf(attempt), 'killed'),
    settled: (attempt) => void over.set(keyOf(attempt), 'settled'),
  }
}

const keyOf = (of: Attempt | Run): string => `${'runId' in of ? of.runId : of.id} ${of.attempt}`

const describe = (run: Run): string => `${nameOf(run)}, ${run.status}, attempt ${run.attempt}`

function rowOf(run: Run, isKilled: boolean): Row {
  if (!isKilled) return { text: `    ${bar(run, '█')} ${describe(run)}`, format: 'cyan' }
  const text = `    ${bar(run, '▒')} worker killed: ${nameOf(run)}, attempt ${run.attempt}`
  return { text, format: 'red' }
}

function bar(run: Run, full: string): string {
  const { processed, total } = run.progress ?? { processed: 0, total: null }
  const filled = total === null || total === 0 ? 0 : Math.round((BAR_WIDTH * processed) / total)
  return `${full.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${countedOf(run).padEnd(6)}`
}

function countedOf({ progress }: Run): string {
  return progress === null ? '' : `${progress.processed}/${progress.total ?? '?'}`
}
