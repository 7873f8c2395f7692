/** One measurement, made in a process and a database of its own. */
export interface Trial {
  readonly suite: string
  readonly case: string
  /** The column of its suite's table: `32`, `one identity`. */
  readonly setting: string
  /** Deliveries under way at once. */
  readonly concurrency: number
  readonly warmUpMs: number
  readonly measureMs: number
  /** What takes longer hangs, and is reported instead of waited for. */
  readonly withinMs: number
  /** What only some suites have: how many rows a ledger is filled with, how many jobs wait. */
  readonly size: number
}

/** What a trial measured, by the names in `figures.ts`; one that is not there could not be measured. */
export type Figures = Readonly<Record<string, number>>

/** Where a trial happens; parent and child agree on it. */
export interface TrialPlace {
  readonly url: string
  /** Another database of the same server, to look on from: what is done there is not counted. */
  readonly adminUrl: string
  readonly redisUrl: string | null
}

export type TrialReply =
  | { readonly kind: 'measured'; readonly figures: Figures }
  | { readonly kind: 'failed'; readonly message: string }
