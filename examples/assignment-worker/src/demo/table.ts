import type { PastAttempt, Run } from '@opsledger/core'
import { policyOf, shortId } from './run-names.ts'

const COLUMNS = ['run', 'type', 'policy', 'attempt', 'outcome', 'total', 'processed', 'failed'] as const

/** The ledger, oldest first, with the reasons of a run and its earlier attempts below it. */
export function ledgerTable(runs: readonly Run[]): string[] {
  const rows = runs
    .toSorted((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
    .map((run) => ({ cells: cellsOf(run), notes: notesOf(run) }))
  const widths = COLUMNS.map((title, n) =>
    Math.max(title.length, ...rows.map(({ cells }) => cells[n]!.length)),
  )
  const lineOf = (cells: readonly string[]) =>
    cells
      .map((cell, n) => cell.padEnd(widths[n]!))
      .join('  ')
      .trimEnd()
  const rule = widths.map((width) => '─'.repeat(width)).join('  ')
  const body = rows.flatMap(({ cells, notes }) => [
    lineOf(cells),
    ...notes.map((note) => `        └ ${note}`),
  ])
  return [lineOf(COLUMNS), rule, ...body]
}

function cellsOf(run: Run): string[] {
  const counts = [run.counts?.total, run.counts?.processed, run.counts?.failed]
  return [
    shortId(run.id),
    run.type,
    policyOf(run) ?? '–',
    String(run.attempt),
    run.outcome === 'pending' ? run.status : run.outcome,
    ...counts.map((count) => String(count ?? '–')),
  ]
}

function notesOf(run: Run): string[] {
  const { canonicalRunId, itemFailures, pastAttempts } = run
  // A run that waits for its retry has the reason of an attempt that is listed below.
  const reasonCode = run.status === 'retrying' ? null : run.reasonCode
  const items = Object.entries(itemFailures).map(([code, count]) => `${count} × ${code}`)
  return [
    ...(reasonCode === null ? [] : [reasonCode]),
    ...(canonicalRunId === null ? [] : [`see run ${shortId(canonicalRunId)}`]),
    ...(items.length === 0 ? [] : [items.join(', ')]),
    ...pastAttempts.map(noteOf),
  ]
}

function noteOf({ attempt, reasonCode, outcome, counts }: PastAttempt): string {
  const counted =
    counts === null ? 'no counts' : `${counts.processed}/${counts.total}, ${counts.failed} failed`
  return `attempt ${attempt}: ${reasonCode ?? outcome}, ${counted}`
}
