/** The library with one rule broken, in the process that loads it so. */
export interface Mutant {
  readonly name: string
  /** What it breaks, as the end of "a library that …". */
  readonly does: string
  /** The guarantee whose violation must be seen. */
  readonly breaks: readonly string[]
  /** The fault under which it shows. */
  readonly fault: string
  readonly edits: readonly Edit[]
}

/** In a file below `packages/`; `find` must be there exactly once. */
interface Edit {
  readonly file: string
  readonly find: string
  readonly replace: string
}

export const mutants: readonly Mutant[] = []
