import type { Answered, Section } from './sections.ts'

export const GUARANTEES = ['G1', 'G2', 'G3', 'G4', 'G5', 'G6', 'G7', 'G8'] as const
export type Guarantee = (typeof GUARANTEES)[number]

export interface Violation {
  readonly guarantee: Guarantee
  readonly what: string
}

export interface Ruling {
  readonly sections: readonly Section[]
  readonly answers: readonly Answered[]
  /** Overlaps that the promise leaves out, as {@link Rules.isExempt} says: counted, and shown by who asks for it. */
  readonly exempted: readonly (readonly [Section, Section])[]
  readonly violations: readonly Violation[]
}

/** What a fault does to the promises. Left out, nothing is excused. */
export interface Rules {
  /** The cooldown of a work, in ms. */
  cooldownMs(work: string): number
  /**
   * Overlaps, and starts in the cooldown of the earlier one, that the promise leaves out: those of a process frozen past
   * its lease in lease mode.
   */
  isExempt?(earlier: Section, later: Section): boolean
  /** Codes that a caller may be told instead of a verdict. @default what an outage may give: `database_unavailable` */
  readonly expectedCodes?: readonly string[]
  /** Beyond those codes: an error that this caller may have met, because of when it asked. */
  mayMeet?(answered: Answered): boolean
  /** A given-up settlement is no acknowledgement; where the database stayed away that long on purpose. */
  mayBeUnconfirmed?(answered: Answered): boolean
  /** Connections are lost: an admission may commit that nobody hears of, and its attempt is lost unexecuted. */
  readonly losesReplies?: boolean
  /** A process that is meant to fall, by what it says on its way down. */
  mayFall?(why: string): boolean
  /** Handlers settle in a transaction of their own: a kill may come between that and their last mark. */
  readonly settlesInHandler?: boolean
}
