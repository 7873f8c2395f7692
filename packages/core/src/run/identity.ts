import { hash } from 'node:crypto'
import { validate } from 'uuid'
import { InvalidOptionError, MissingIdentityError } from '../errors.ts'
import { type ExactScope, exactScope } from './scope.ts'

/**
 * What a job is, computed once from its payload and frozen: a handler that changes its input cannot become another
 * job. `workKey` and `identity` are digests; the other fields are what they are digests of.
 */
export interface JobIdentity {
  readonly scope: ExactScope
  readonly type: string
  readonly runId: string | null
  readonly fingerprint: string | null
  readonly isSystem: boolean
  /** Scope + type + fingerprint: what makes two dispatches the same work. */
  readonly workKey: string
  /** What a claim is taken on: the run when there is one, otherwise the work; always the work for a system job. */
  readonly identity: string
}

/** Unless `isSystem`, one of `runId` and `fingerprint` must be there: a job that nothing tells from another is refused. */
export interface IdentityParts {
  readonly scope: ExactScope
  readonly type: string
  readonly runId?: string | null
  readonly fingerprint?: string | null
  readonly isSystem?: boolean
}

/**
 * @throws MissingIdentityError when neither a run id nor a fingerprint says which work this is
 * @throws InvalidOptionError when the run id is not a UUID, or the scope is none
 */
export function jobIdentity(parts: IdentityParts): JobIdentity {
  const { type } = parts
  // A digest takes anything, and an undefined tenant as none.
  const scope = exactScope(parts.scope)
  const isSystem = parts.isSystem ?? false
  const runId = parts.runId ?? null
  const fingerprint = isSystem ? null : (parts.fingerprint ?? null)
  if (runId !== null && !validate(runId))
    throw new InvalidOptionError('runId', runId, 'a UUID of any version')
  if (!isSystem && fingerprint === null && runId === null) throw new MissingIdentityError(type)
  const workKey =
    fingerprint === null && runId !== null && !isSystem
      ? digest('run', scope, runId.toLowerCase())
      : digest('work', scope, type, fingerprint)
  const identity = runId === null || isSystem ? workKey : runIdentity(scope, runId)
  return Object.freeze({
    scope,
    type,
    runId: runId?.toLowerCase() ?? null,
    fingerprint,
    isSystem,
    workKey,
    identity,
  })
}

/** The identity of work that is named by an operation run. */
export function runIdentity(scope: ExactScope, runId: string): string {
  return digest('run', scope, runId.toLowerCase())
}

/** Two bits of the digest under the two that say which kind of UUID it is. */
const VARIANTS = '89ab'

/**
 * SHA-256 of a JSON array, as a UUID of version 8 (RFC 9562, section 5.8): 122 bits, a fixed-size key that Postgres
 * stores in 16 bytes. A JSON array has one reading, so no two lists of parts share a text; the first part is the
 * version of the scheme.
 */
function digest(kind: 'run' | 'work', scope: ExactScope, ...parts: (string | null)[]): string {
  const text = JSON.stringify(['opsledger.1', kind, scope.workspaceId, scope.tenantId, ...parts])
  const hex = hash('sha256', text, 'hex')
  const variant = VARIANTS[Number.parseInt(hex[16]!, 16) & 3]
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
