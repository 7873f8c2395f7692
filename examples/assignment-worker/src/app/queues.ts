export const QUEUES = {
  fetch: 'assignment-fetch',
  restore: 'assignment-restore',
  reconcile: 'reconcile-adapter-runs',
} as const

/** Retries after the first attempt. */
export const RETRY_LIMIT = 2
