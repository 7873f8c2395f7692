import type { Run } from '@opsledger/core'
import type { Expect } from '../checks.ts'
import type { Stage } from '../stage.ts'

export interface Scene {
  /** The claim, as the list at the end says it. */
  readonly shows: string
  play(stage: Stage, expect: Expect): Promise<void>
}

/** Of two deliveries of the same work, waits until the second has been answered, either way; tells the first one's run. */
export async function untilBothAnswered({ happenings }: Stage, since: number, type: string): Promise<string> {
  const first = await happenings.next(
    since,
    ['opsledger:run.admitted'],
    ({ message }) => message.type === type,
  )
  const { runId } = first.message
  await happenings.next(
    since,
    ['opsledger:run.skipped', 'opsledger:run.admitted'],
    ({ name, message }) =>
      message.type === type && (name === 'opsledger:run.skipped' || message.runId !== runId),
  )
  return runId
}

/** How a run ended, in one value to compare. */
export function endOf(run: Run | undefined) {
  if (run === undefined) return 'no run'
  const { total, processed, failed } = run.counts ?? {}
  return { outcome: run.outcome, attempt: run.attempt, counts: [total, processed, failed] }
}

/** Adapter runs of the workspace that never ended, oldest first, from the table itself. */
export async function neverEnded({ db, workspaceId }: Stage) {
  const rows = await db
    .selectFrom('adapter_runs')
    .select(['id', 'run_id'])
    .where('workspace_id', '=', workspaceId)
    .where('ended_at', 'is', null)
    .orderBy('started_at')
    .orderBy('id')
    .execute()
  return rows.map(({ id, run_id }) => ({ id, runId: run_id }))
}
