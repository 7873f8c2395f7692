import type { Run } from '@opsledger/core'

/** Enough of a run id to tell it from the others on the screen. */
export function shortId(runId: string | null): string {
  return runId === null ? '–' : runId.slice(-6)
}

/** The policy that the operations note as context; a reconcile has none. */
export function policyOf({ context }: Run): string | undefined {
  return (context as { policy?: string } | null)?.policy
}

export function nameOf(run: Run): string {
  const policy = policyOf(run)
  return `${shortId(run.id)} ${run.type}${policy === undefined ? '' : ` "${policy}"`}`
}
