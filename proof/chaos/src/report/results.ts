import type { FaultReport } from './report.ts'

/** Where and how a run went, whatever it shows. */
export interface Circumstances {
  readonly seed: number
  readonly isLong: boolean
  readonly leaseMs: number
  readonly date: string
  readonly server: string
  readonly node: string
  readonly machine: string
}

/** What `--json` writes: all that was run so far. */
export interface Results extends Circumstances {
  /** False until all that was asked for has been run. */
  readonly isComplete: boolean
  readonly faults: readonly FaultReport[]
}

/** What `--json` writes with `--mutants`. */
export interface MutantResults extends Circumstances {
  readonly isComplete: boolean
  readonly mutants: readonly MutantResult[]
}

export interface MutantResult {
  readonly mutant: string
  readonly does: string
  readonly fault: string
  /** The guarantees of which one had to be seen violated. */
  readonly breaks: readonly string[]
  /** `wrongly caught`: what takes its cover away was caught by itself. */
  readonly result: 'caught' | 'survived' | 'wrongly caught' | 'not tried'
  /** Seeds it was looked for with. */
  readonly tries: number
  /** Why it was not tried. */
  readonly skipped: string | null
  readonly findings: readonly string[]
  readonly seconds: number
}
