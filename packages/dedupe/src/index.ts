// The guard

// What makes two jobs the same work
export { type IdentityParts, type JobIdentity, jobIdentity } from '@opsledger/core'
export {
  CanonicalJsonError,
  canonicalJson,
  DEFAULT_MAX_CANONICAL_BYTES,
  DEFAULT_MAX_DEPTH,
} from './canonical-json.ts'
export { LockTableFullError, TransactionPoolerError } from './errors.ts'
export type { Explanation } from './explain.ts'
export {
  type FingerprintOptions,
  fingerprint,
  MIN_FINGERPRINT_KEY_BYTES,
  MissingIdentityPartError,
  SecretFieldError,
} from './fingerprint.ts'
export {
  createGuard,
  DEFAULT_COOLDOWN_MS,
  type DedupeGuard,
  type ExclusionMode,
  type GuardOptions,
} from './guard.ts'
