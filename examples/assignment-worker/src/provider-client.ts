import { setTimeout as sleep } from 'node:timers/promises'
import { OperationError } from '@opsledger/core'

/** How often a throttled request is sent again before the attempt gives up and leaves it to the queue. */
const MAX_THROTTLED = 3

/** Its `status` is what the ledger's reason code is made from; its message quotes the provider, secrets and all. */
export class ProviderError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface AssignmentPage {
  readonly total: number
  readonly items: readonly { readonly id: string; readonly target: string | null }[]
  readonly nextPage: number | null
}

export interface ProviderClient {
  assignments(policy: string, page: number, signal: AbortSignal): Promise<AssignmentPage>
  restore(assignmentId: string, signal: AbortSignal): Promise<void>
  openAdapterRun(id: string, signal: AbortSignal): Promise<void>
  /** Without a signal: also an attempt that was stopped tidies up behind itself. */
  closeAdapterRun(id: string): Promise<void>
  openAdapterRuns(signal: AbortSignal): Promise<string[]>
}

/** @throws ProviderError, and OperationError where trying again cannot help */
export function createProviderClient(url: string, apiKey: string): ProviderClient {
  const request = async <T>(method: string, path: string, signal?: AbortSignal): Promise<T> => {
    for (let throttled = 1; ; throttled++) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: `Bearer ${apiKey}` },
        signal: signal ?? null,
      })
      if (response.ok) return (await response.json()) as T
      if (response.status === 429 && throttled < MAX_THROTTLED) {
        await sleep(1_000 * Number(response.headers.get('retry-after') ?? 1), undefined, { signal })
        continue
      }
      const error = new ProviderError(
        response.status,
        `${method} ${path} answered ${response.status}: ${await response.text()}`,
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
    openAdapterRuns: async (signal) =>
      (await request<{ open: string[] }>('GET', '/adapter-runs', signal)).open,
  }
}
