// biome-ignore-all assist/source/organizeImports: in the order of the concepts

// The guard
export {
  createGuard,
  DEFAULT_COOLDOWN_MS,
  type DedupeGuard,
  type ExclusionMode,
  type GuardOptions,
} from './guard.ts'
export type { ProtectContext, Protected, ProtectOptions, ProtectVerdict } from './protect.ts'
export type { Explanation } from './explain.ts'
export { LockTableFullError, TransactionPoolerError } from './errors.ts'

// What makes two jobs the same work
export { type IdentityParts, type JobIdentity, jobIdentity } from '@opsledger/core'
export {
  fingerprint,
  type FingerprintOptions,
  MIN_FINGERPRINT_KEY_BYTES,
  MissingIdentityPartError,
  SecretFieldError,
} from './fingerprint.ts'
export {
  canonicalJson,
  CanonicalJsonError,
  DEFAULT_MAX_CANONICAL_BYTES,
  DEFAULT_MAX_DEPTH,
} from './canonical-json.ts'
