import { setTimeout as sleep } from 'node:timers/promises'
import { OperationError } from '@opsledger/core'

/** How often a throttled request is sent before the attempt gives up and leaves it to the queue. */
const MAX_THROTTLED = 3
/** What asks for a longer pause than this is left to the queue at once: a job should not sleep in a worker. */
const MAX_PAUSE_MS = 10_000
/** Longer than the provider's slowest answer. */
const ANSWER_WITHIN_MS = 15_000

/** Its `status` is what the ledger's reason code is made from; its message quotes the provider, secrets and all. */
export class ProviderError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

interface AssignmentPage {
  readonly total: number
  readonly items: readonly { readonly id: string; readonly target: string | null }[]
  readonly nextPage: number | null
}

export interface ProviderClient {
  assignments(policy: string, page: number, signal: AbortSignal): Promise<AssignmentPage>
  restore(assignmentId: string, signal: AbortSignal): Promise<void>
  openAdapterRun(id: string, signal: AbortSignal): Promise<void>
  /** Also of one that is closed or was never opened. Without a signal: an attempt that was stopped tidies up, too. */
  closeAdapterRun(id: string): Promise<void>
}

/** @throws ProviderError, and OperationError where trying again cannot help */
export function createProviderClient(url: string, apiKey: string): ProviderClient {
  const request = async <T>(method: string, path: string, signal?: AbortSignal): Promise<T> => {
    for (let sent = 1; ; sent++) {
      const inTime = AbortSignal.timeout(ANSWER_WITHIN_MS)
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${apiKey}` },
        signal: signal === undefined ? inTime : AbortSignal.any([signal, inTime]),
      })
      if (response.ok) return (await response.json()) as T
      const text = await response.text()
      const pauseMs = pauseOf(response.headers.get('retry-after'))
      if (response.status === 429 && sent < MAX_THROTTLED && pauseMs <= MAX_PAUSE_MS) {
        await sleep(pauseMs, undefined, { signal })
        continue
      }
      const error = new ProviderError(
        response.status,
        `${method} ${path} answered ${response.status}: ${text}`,
      )
      if (response.status !== 401) throw error
      throw new OperationError('provider.unauthorized', 'This worker is not known to the provider', {
        permanent: true,
        cause: error,
      })
    }
  }
  return {
    assignments: (policy, page, signal) =>
      request('GET', `/policies/${policy}/assignments?page=${page}`, signal),
    restore: (id, signal) => request('POST', `/assignments/${id}/restore`, signal),
    openAdapterRun: (id, signal) => request('PUT', `/adapter-runs/${id}`, signal),
    closeAdapterRun: (id) => request('DELETE', `/adapter-runs/${id}`),
  }
}

/** `Retry-After` is a number of seconds or a date; a second where there is none. */
function pauseOf(retryAfter: string | null): number {
  if (retryAfter === null) return 1_000
  const pauseMs = /^\d+$/.test(retryAfter) ? 1_000 * Number(retryAfter) : Date.parse(retryAfter) - Date.now()
  return Number.isNaN(pauseMs) ? 1_000 : Math.max(pauseMs, 0)
}
