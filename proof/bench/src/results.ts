import { type Summary, summarize } from './statistics.ts'
import type { Figures, Trial } from './trial.ts'

/** What all runs of one trial gave. */
export interface TrialResult {
  readonly suite: string
  readonly case: string
  readonly setting: string
  readonly figures: Readonly<Record<string, Summary>>
  /** The first failure in words; such a trial has no figures. */
  readonly failure: string | null
}

/** What `--json` writes. */
export interface Results {
  readonly date: string
  readonly facts: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, unknown>>
  readonly skipped: readonly string[]
  readonly trials: readonly TrialResult[]
}

/** Gathers the runs of a trial, in whatever order they come. */
export class Gathering {
  readonly #runs = new Map<string, { trial: Trial; figures: Figures[]; failure: string | null }>()

  #entry(trial: Trial) {
    const key = JSON.stringify([trial.suite, trial.case, trial.setting])
    const entry = this.#runs.get(key) ?? { trial, figures: [], failure: null }
    this.#runs.set(key, entry)
    return entry
  }

  add(trial: Trial, figures: Figures): void {
    this.#entry(trial).figures.push(figures)
  }

  fail(trial: Trial, message: string): void {
    this.#entry(trial).failure ??= message
  }

  hasFailed(trial: Trial): boolean {
    return this.#entry(trial).failure !== null
  }

  results(): TrialResult[] {
    return [...this.#runs.values()].map(({ trial, figures, failure }) => ({
      suite: trial.suite,
      case: trial.case,
      setting: trial.setting,
      figures: failure === null ? summaries(figures) : {},
      failure,
    }))
  }
}

function summaries(runs: readonly Figures[]): Record<string, Summary> {
  const names = [...new Set(runs.flatMap((figures) => Object.keys(figures)))]
  return Object.fromEntries(
    names.map((name) => [
      name,
      summarize(runs.map((figures) => figures[name] ?? Number.NaN).filter((value) => !Number.isNaN(value))),
    ]),
  )
}
