/** Where a case works: an empty database of its own, and what its handlers do. */
export interface Place {
  readonly url: string
  /** Null where no Redis was given; cases that need one are not run then. */
  readonly redisUrl: string | null
  /** What a job does; nothing unless a suite says otherwise. */
  readonly handler: (index: number) => Promise<void> | void
}

/** A case that is ready for work. */
export interface Subject {
  /**
   * A delivery of the work with this number. Called again with the same number it is a duplicate.
   * @returns whether it was executed
   */
  job(index: number): Promise<boolean>
  close(): Promise<void>
}

/** Makes its tables in the empty database and opens its connections. */
export type Prepare = (place: Place) => Promise<Subject>

/** What a user would do about the same job executed twice: with this library, by hand, or with another one. */
export interface BenchCase {
  readonly name: string
  readonly title: string
  readonly needsRedis: boolean
  /** Whether it keeps duplicates apart; the floor and the bulk limit do not. */
  readonly excludes: boolean
  /** Jobs that one call carries: 1, but for the bulk limit. */
  readonly jobsPerCall: number
  /** Its code, which only the process that runs it loads. */
  load(): Promise<Prepare>
}
