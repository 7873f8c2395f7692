import { CanonicalJsonError, renderPath } from './canonical-json-error.ts'

/** Levels of arrays and objects. Job inputs have a handful; 64 stays thousands of frames away from a stack overflow. */
export const DEFAULT_MAX_DEPTH = 64

/** Bytes of canonical UTF-8 text: 1 MiB. What is longer is content, and is better named by its id or its digest. */
export const DEFAULT_MAX_CANONICAL_BYTES = 1_048_576

/** One pass over one value: where it is, what it is inside of, and how much text it may still make. */
export interface Walk {
  readonly root: string
  /** Where the walk is now. Left as it is when something throws, so that it names the place. */
  readonly trail: (string | number)[]
  readonly ancestors: Set<object>
  bytesLeft: number
}

export function startWalk(root: string): Walk {
  return { root, trail: [], ancestors: new Set(), bytesLeft: DEFAULT_MAX_CANONICAL_BYTES }
}

export function refuse(walk: Walk, found: string, advice: string, options?: ErrorOptions): never {
  throw new CanonicalJsonError(renderPath(walk.root, walk.trail), found, advice, options)
}

/** Counts as it goes, so that a small graph of shared objects cannot grow into a huge text before it is refused. */
export function spend(walk: Walk, bytes: number): void {
  walk.bytesLeft -= bytes
  if (walk.bytesLeft >= 0) return
  const found = `more than ${DEFAULT_MAX_CANONICAL_BYTES} bytes of canonical text`
  refuse(walk, found, 'include an id or a digest of the content instead')
}

export function spendString(walk: Walk, text: string, what: 'a string' | 'a key'): void {
  // One byte per code unit at least: what cannot fit is refused before it is scanned.
  if (text.length > walk.bytesLeft) spend(walk, text.length)
  if (!text.isWellFormed()) refuse(walk, `${what} with a lone surrogate`, 'use well-formed Unicode text')
  spend(walk, Buffer.byteLength(JSON.stringify(text)))
}
