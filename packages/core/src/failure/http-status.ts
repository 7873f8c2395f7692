import { read } from './read.ts'
import type { LibraryReasonCode } from './reason-code.ts'

const STATUSES = new Map<number, LibraryReasonCode>([
  [401, 'provider.unauthorized'],
  [402, 'provider.payment_required'],
  [403, 'provider.forbidden'],
  [404, 'provider.not_found'],
  [407, 'provider.unauthorized'],
  [408, 'provider.timeout'],
  [409, 'provider.conflict'],
  [410, 'provider.gone'],
  [412, 'provider.conflict'],
  [413, 'provider.too_large'],
  [414, 'provider.too_large'],
  [423, 'provider.conflict'],
  [425, 'provider.throttled'],
  [429, 'provider.throttled'],
  [431, 'provider.too_large'],
  [451, 'provider.forbidden'],
  [502, 'provider.unavailable'],
  [503, 'provider.unavailable'],
  [504, 'provider.timeout'],
  [509, 'provider.throttled'],
  [520, 'provider.unavailable'],
  [521, 'provider.unavailable'],
  [522, 'provider.unavailable'],
  [523, 'provider.unavailable'],
  [524, 'provider.timeout'],
  [529, 'provider.unavailable'],
])

/** Total over the statuses that say something went wrong, 300 to 599; undefined for every other number. */
export function httpStatusReason(status: number): LibraryReasonCode | undefined {
  if (!Number.isInteger(status) || status < 300 || status > 599) return undefined
  if (status < 400) return 'provider.redirected'
  return STATUSES.get(status) ?? (status < 500 ? 'provider.rejected' : 'provider.error')
}

/**
 * The status of an HTTP client's error: `status`, `statusCode`, the same of its `response`, the AWS SDK's
 * `$metadata.httpStatusCode`, or a numeric `code` (Google's clients). Nothing else of the response is read.
 */
export function findHttpStatus(value: unknown): number | undefined {
  const response = read(value, 'response')
  const candidates = [
    read(value, 'status'),
    read(value, 'statusCode'),
    read(response, 'status'),
    read(response, 'statusCode'),
    read(read(value, '$metadata'), 'httpStatusCode'),
    read(value, 'code'),
  ]
  for (const candidate of candidates) {
    const status =
      typeof candidate === 'string' && /^[3-5]\d\d$/.test(candidate) ? Number(candidate) : candidate
    if (typeof status === 'number' && httpStatusReason(status) !== undefined) return status
  }
  return undefined
}
