import type { Nanos } from '@opsledger/testing'
import type { Mark } from './journal.ts'

export interface Execution {
  readonly work: string
  readonly runId: string
  readonly attempt: number
  readonly fence: number
  readonly pid: number
  readonly deliveryId: string
  readonly startedAt: Nanos
  /** Null when it never came to an end: its process was killed. */
  readonly endedAt: Nanos | null
}

type Answered = Extract<Mark, { mark: 'answered' }>

export function executionsOf(marks: readonly Mark[]): Execution[] {
  const endedAt = new Map(marks.flatMap((mark) => (mark.mark === 'ended' ? [[mark.fence, mark.at]] : [])))
  return marks.flatMap((mark) => {
    if (mark.mark !== 'started') return []
    const { at, mark: _, ...facts } = mark
    return [{ ...facts, startedAt: at, endedAt: endedAt.get(mark.fence) ?? null }]
  })
}

export const answersOf = (marks: readonly Mark[]): Answered[] =>
  marks.filter((mark) => mark.mark === 'answered')

/**
 * Pairs of executions of one work that were under way at the same time. One that was killed was under way at least until
 * its process was sent the signal.
 */
export function overlapsIn(
  executions: readonly Execution[],
  killedAt: ReadonlyMap<number, Nanos>,
): [Execution, Execution][] {
  const overlaps: [Execution, Execution][] = []
  for (const group of Map.groupBy(executions, (execution) => execution.work).values()) {
    const inOrder = group.toSorted((a, b) => Number(a.startedAt - b.startedAt))
    let last: { execution: Execution; until: Nanos } | null = null
    for (const execution of inOrder) {
      if (last !== null && execution.startedAt < last.until) overlaps.push([last.execution, execution])
      const until = execution.endedAt ?? killedAt.get(execution.pid) ?? execution.startedAt
      if (last === null || until > last.until) last = { execution, until }
    }
  }
  return overlaps
}

/** What is wrong with what the deliveries of a run were told; nothing, in a library that works. */
export function complaintsAbout(
  marks: readonly Mark[],
  killedAt: ReadonlyMap<number, Nanos>,
  hostName: string,
): string[] {
  const executions = new Map(executionsOf(marks).map((execution) => [execution.fence, execution]))
  const answers = answersOf(marks)
  const returnedAt = new Map(
    answers.flatMap(({ answer, at }) => (answer.kind === 'executed' ? [[answer.fence, at]] : [])),
  )
  const complaints: string[] = []
  for (const mark of answers) {
    const { answer, deliveryId } = mark
    const complain = (what: string) => complaints.push(`${deliveryId}: ${what} ${show(answer)}`)
    if (answer.kind === 'error') complain('met an error of the library')
    if (answer.kind === 'executed') {
      if (executions.get(answer.fence)?.deliveryId !== deliveryId) complain('executed without a trace')
      if (answer.settlement !== 'settled') complain('was not settled')
    }
    if (answer.kind !== 'skipped') continue
    const { holder, reason, action } = answer
    if (reason === 'already_terminal') {
      const isOwn = [...executions.values()].some(
        (execution) => execution.runId === answer.runId && execution.deliveryId === deliveryId,
      )
      if (!isOwn) complain('was called terminal but never executed')
      continue
    }
    if (reason === 'lock_busy') {
      if (action !== 'retry_later') complain('was discarded for a busy lock')
      continue
    }
    if (holder === null) {
      complain('was told no holder')
      continue
    }
    const execution = executions.get(holder.fence)
    if (execution === undefined) {
      // A claim whose process was killed before its handler began.
      if (!killedAt.has(holder.pid ?? 0)) complain('was refused for a holder that never executed')
      continue
    }
    const isTold =
      execution.work === mark.work &&
      execution.runId === holder.runId &&
      execution.deliveryId === holder.deliveryId &&
      (reason === 'cooldown' || (execution.attempt === holder.attempt && execution.pid === holder.pid)) &&
      (holder.host === null || holder.host === hostName)
    if (!isTold) complain(`was told another holder than ${show(execution)}`)
    if (reason === 'cooldown' && (execution.endedAt === null || execution.endedAt > mark.at)) {
      complain('cools down after an execution that had not ended')
    }
    const until = returnedAt.get(holder.fence)
    if (reason === 'overlap' && until !== undefined && until < sharedSince(answers, mark)) {
      complain('was refused for a holder that had been settled before it asked')
    }
    // The same delivery, and a retry of one that had an attempt of this run, are their queue's to bring again.
    const isOwn = [...executions.values()].some(
      (other) =>
        other.deliveryId === deliveryId && other.runId === holder.runId && other.fence <= holder.fence,
    )
    if (reason === 'overlap' && (action === 'retry_later') !== isOwn) complain('was told the wrong action')
  }
  return complaints
}

/** A delivery that waited for the answer of another one of its process was refused as of that one's question. */
function sharedSince(answers: readonly Answered[], mark: Answered): Nanos {
  let since = mark.askedAt
  for (const other of answers) {
    const isConcurrent = other.askedAt <= mark.askedAt && other.at >= mark.askedAt
    if (other.pid === mark.pid && other.work === mark.work && isConcurrent && other.askedAt < since) {
      since = other.askedAt
    }
  }
  return since
}

const show = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part))
