import { InvalidOptionError } from '../errors.ts'

/** Whose work it is. A run without a tenant is a workspace-level (system) run. */
export interface Scope {
  readonly workspaceId: string
  readonly tenantId?: string | null
}

/** A scope with nothing left to guess. */
export interface ExactScope {
  readonly workspaceId: string
  readonly tenantId: string | null
}

/** Scope ids are index keys: longer than any UUID, slug or ARN-like id, shorter than what an index entry holds. */
export const MAX_SCOPE_ID_LENGTH = 200

/** @throws InvalidOptionError when a part is missing, empty, too long, or cannot be stored as text */
export function exactScope(scope: Scope): ExactScope {
  if (typeof scope !== 'object' || scope === null) {
    throw new InvalidOptionError('scope', scope, '{ workspaceId, tenantId? }')
  }
  const tenantId = scope.tenantId ?? null
  assertText('scope.workspaceId', scope.workspaceId, MAX_SCOPE_ID_LENGTH)
  if (tenantId !== null) assertText('scope.tenantId', tenantId, MAX_SCOPE_ID_LENGTH)
  return Object.freeze({ workspaceId: scope.workspaceId, tenantId })
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
