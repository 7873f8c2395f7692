import { randomUUID } from 'node:crypto'
import type { HandlerContext, Operation, OperationOptions, Recorder } from '@opsledger/core'
import { fingerprint } from '@opsledger/dedupe'
import type { Worker } from './workers.ts'

export const ASSIGNMENT_TYPES = ['assignment.fetch', 'assignment.restore'] as const
export type AssignmentType = (typeof ASSIGNMENT_TYPES)[number]

/** Fetch the assignments of a course from the provider, or restore them there from a backup. */
export interface AssignmentJob {
  readonly workspaceId: string
  readonly tenantId: string
  readonly courseId: string
  readonly operationRunId?: string
}

/** A job of a tenant that no other test knows. */
export function newJob(): AssignmentJob {
  return { workspaceId: 'workspace-1', tenantId: randomUUID(), courseId: 'course-7' }
}

export function assignmentOperation<R>(
  { ledger, guard }: Worker,
  type: AssignmentType,
  handler: (context: HandlerContext<AssignmentJob>) => R,
  options: Partial<Pick<OperationOptions<AssignmentJob, R>, 'cooldownMs'>> = {},
): Operation<AssignmentJob, R> {
  return ledger.operation<AssignmentJob, R>({
    type,
    scope: ({ workspaceId, tenantId }) => ({ workspaceId, tenantId }),
    runId: ({ operationRunId }) => operationRunId,
    fingerprint: fingerprint<AssignmentJob>(['courseId']),
    guard,
    handler,
    ...options,
  })
}

/** What became of each assignment at the provider: `ok`, or why not. */
export function countItems(counts: Recorder, items: readonly string[]): void {
  for (const item of items) {
    if (item === 'ok') counts.itemSucceeded()
    else counts.itemFailed(item)
  }
}
