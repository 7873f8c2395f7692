import type { SqlFile } from '../migrations/migration.ts'

/**
 * Effect: none. The 64-bit advisory lock key of an identity (itself a SHA-256 digest), mixed with the schema's
 * name because advisory locks are per database. Two identities may share a key: the claim row decides.
 */
export const lockKeyFunction: SqlFile = (s, name) => `
create function ${s}.lock_key(p_identity uuid) returns bigint
language sql immutable strict parallel safe
return uuid_hash_extended(p_identity, hashtextextended('${name}', 0))`

/**
 * Fences: one sequence, so that a fence never repeats whatever is pruned; cache 1, so that a later claim always has
 * the greater fence; below 2^53, so that JavaScript numbers hold it (285 years at a million claims a second).
 */
export const fenceSequence: SqlFile = (s) => `
create sequence ${s}.fence as bigint minvalue 1 maxvalue 9007199254740991 cache 1 no cycle`

/** Effect: none. The newest fence that was given, whatever became of it: every later claim has a greater one. */
export const lastFenceFunction: SqlFile = (s) => `
create function ${s}.last_fence() returns bigint
language sql volatile as $$ select last_value from ${s}.fence $$`
