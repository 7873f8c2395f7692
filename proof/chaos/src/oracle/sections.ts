import type { Counts } from '@opsledger/core'
import type { Nanos } from '@opsledger/testing'
import type { Interruption } from '../arena/crew.ts'
import type { Ending, Mark } from '../arena/journal.ts'

/** One execution of a handler, as the journal tells it. */
export interface Section {
  readonly work: string
  readonly deliveryId: string
  readonly runId: string
  readonly attempt: number
  readonly fence: number
  readonly pid: number
  readonly startedAt: Nanos
  /** When it ended, or when its process was about to be killed; null when neither is known. */
  readonly endedAt: Nanos | null
  /** When it was about to settle in a transaction of its own; null when it never was. */
  readonly settlingAt: Nanos | null
  /** Null when it was cut off. */
  readonly ending: Ending | null
  readonly counts: Counts | null
}

export type Answered = Extract<Mark, { mark: 'answered' }>

export function sectionsOf(marks: readonly Mark[], interruptions: readonly Interruption[]): Section[] {
  const ended = new Map<number, Extract<Mark, { mark: 'ended' }>>()
  const settlingAt = new Map<number, Nanos>()
  const lastOf = new Map<number, Nanos>()
  for (const mark of marks) {
    if (mark.mark === 'ended') ended.set(mark.fence, mark)
    if (mark.mark === 'settling') settlingAt.set(mark.fence, mark.at)
    if (mark.mark === 'fell') lastOf.set(mark.pid, mark.at)
  }
  for (const { kind, pid, from } of interruptions) if (kind === 'killed') lastOf.set(pid, from)
  return marks.flatMap((mark): Section[] => {
    if (mark.mark !== 'started') return []
    const { mark: _, at, ...facts } = mark
    const end = ended.get(mark.fence)
    // A kill that came too late to matter: the section had ended before.
    const cut = lastOf.get(mark.pid) ?? null
    return [
      {
        ...facts,
        startedAt: at,
        endedAt: end?.at ?? cut,
        settlingAt: settlingAt.get(mark.fence) ?? null,
        ending: end?.ending ?? null,
        counts: end?.counts ?? null,
      },
    ]
  })
}

export const answersOf = (marks: readonly Mark[]): Answered[] =>
  marks.filter((mark) => mark.mark === 'answered')

/** Every pair of sections of one work that were under way at the same time, the one that started first in front. */
export function overlapsIn(sections: readonly Section[]): [Section, Section][] {
  const overlaps: [Section, Section][] = []
  for (const group of Map.groupBy(sections, (section) => section.work).values()) {
    let underWay: Section[] = []
    for (const section of group.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))) {
      underWay = underWay.filter(({ endedAt }) => (endedAt ?? FOREVER) > section.startedAt)
      for (const earlier of underWay) overlaps.push([earlier, section])
      underWay.push(section)
    }
  }
  return overlaps
}

/** Later than anything that a journal holds. */
export const FOREVER: Nanos = 2n ** 62n
export const NANOS_PER_MS = 1_000_000n
