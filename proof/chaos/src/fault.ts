import type { ExclusionMode } from '@opsledger/dedupe'
import type { Random } from '@opsledger/testing'
import type { Arena, ArenaOptions, Evidence } from './arena/arena.ts'
import type { Rules, Ruling } from './oracle/judge.ts'
import type { Site } from './site.ts'

/** A kind of fault, how it is injected, and how often. */
export interface Fault {
  readonly name: string
  /** What happens, for the table. */
  readonly title: string
  /** How many injections: in the short form that CI runs, and at least in the long one. */
  readonly injections: { readonly short: number; readonly long: number }
  /** Sections that have to be executed under it, when the number of injections does not say it. */
  readonly sections?: { readonly short: number; readonly long: number }
  /** Why it cannot be injected here; null when it can. */
  missing?(site: Site): string | null | Promise<string | null>
  run(trial: Trial): Promise<Outcome>
}

/** One run of a fault. */
export interface Trial {
  readonly site: Site
  readonly random: Random
  readonly injections: number
  readonly sections: number
  readonly isLong: boolean
  /** The mutant of the library under test; null for the library itself. */
  readonly mutant: string | null
  /** The one mode of all workers where a mutant shows in that mode only; null for the fault's own crew. */
  readonly exclusion: ExclusionMode | null
  /** A line of progress. */
  say(text: string): void
  openArena(options?: Partial<Pick<ArenaOptions, 'serverUrl' | 'slots'>>): Promise<Arena>
  judge(evidence: Evidence, rules: Rules): Ruling
}

export interface Outcome {
  readonly injections: number
  readonly rulings: readonly Ruling[]
  /** How long after an interruption the same work executed again, in ms. */
  readonly readmissionMs?: readonly number[]
  /** Further figures that the table of results names. */
  readonly figures?: Readonly<Record<string, number | string>>
  /** What a rule of the fault itself says beyond the guarantees. */
  readonly complaints?: readonly string[]
}
