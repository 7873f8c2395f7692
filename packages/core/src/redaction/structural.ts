import { findKeyValues } from './key-values.ts'
import { findPemBlocks } from './pem-blocks.ts'
import { findRandomRuns } from './random-runs.ts'
import type { Mark } from './spans.ts'
import { findTokens } from './token-shapes.ts'
import { findUserinfo } from './url-userinfo.ts'

/**
 * Marks what looks like a secret by its form or its place, in one visible text (see {@link View}). Each finder takes
 * linear time: no repetition is followed by something that can fail far behind it, and every look back is bounded.
 */
export function findStructuralSecrets(text: string, mark: Mark): void {
  findPemBlocks(text, mark)
  findUserinfo(text, mark)
  findKeyValues(text, mark)
  findTokens(text, mark)
  findRandomRuns(text, mark)
}
