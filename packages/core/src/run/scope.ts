import { InvalidOptionError } from '../errors.ts'
import { nearest } from '../known-options.ts'

/** Whose work it is. A run without a tenant is a workspace-level (system) run. */
export interface Scope {
  readonly workspaceId: string
  /**
   * Absent or null: the workspace's own work, which is no tenant's. Present and `undefined`, it is refused: a payload
   * that lost its tenant would become one work for all tenants. (The type says so too under
   * `exactOptionalPropertyTypes`.) Where a payload may do without, write `tenantId ?? null`.
   */
  readonly tenantId?: string | null
}

/** A scope with nothing left to guess. */
export interface ExactScope {
  readonly workspaceId: string
  readonly tenantId: string | null
}

/** Scope ids are index keys: longer than any UUID, slug or ARN-like id, shorter than what an index entry holds. */
export const MAX_SCOPE_ID_LENGTH = 200

const SCOPE_KEYS = ['workspaceId', 'tenantId'] as const satisfies readonly (keyof Scope)[]

/**
 * @throws InvalidOptionError when a part is missing, empty, too long, or cannot be stored as text; for a tenant that is
 * named and undefined; and for a key that looks like a misspelt one of these. Other keys are let be: a payload may be its
 * own scope
 */
export function exactScope(scope: Scope): ExactScope {
  if (typeof scope !== 'object' || scope === null) {
    throw new InvalidOptionError('scope', scope, '{ workspaceId, tenantId? }')
  }
  // With both there is nothing that another key could have been meant as.
  if (!('tenantId' in scope && 'workspaceId' in scope)) refuseMisspelt(scope)
  const { workspaceId, tenantId } = scope
  assertText('scope.workspaceId', workspaceId, MAX_SCOPE_ID_LENGTH)
  if (tenantId === undefined && 'tenantId' in scope) {
    const allowed = "the id of a tenant; null, or no such key, for the workspace's own work"
    throw new InvalidOptionError('scope.tenantId', tenantId, allowed)
  }
  if (tenantId != null) assertText('scope.tenantId', tenantId, MAX_SCOPE_ID_LENGTH)
  return Object.freeze({ workspaceId, tenantId: tenantId ?? null })
}

function refuseMisspelt(scope: object): void {
  for (const key of Object.keys(scope)) {
    const meant = nearest(key, SCOPE_KEYS)
    if (meant === undefined || meant === key || meant in scope) continue
    const option = `scope.${key}`
    throw new InvalidOptionError(option, `${option} is not a key of a scope; did you mean ${meant}?`)
  }
}

/** @throws InvalidOptionError unless the value is text that Postgres can store in a key */
export function assertText(option: string, value: unknown, maxLength: number): asserts value is string {
  const isUsable =
    typeof value === 'string' &&
    value !== '' &&
    value.length <= maxLength &&
    !value.includes('\u0000') &&
    value.isWellFormed()
  if (!isUsable) {
    throw new InvalidOptionError(
      option,
      value,
      `text of 1 to ${maxLength} characters without NUL or lone surrogates`,
    )
  }
}
