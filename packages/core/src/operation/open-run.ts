import { v7 } from 'uuid'
import { retrying } from '../database/retry.ts'
import { ScopeMismatchError } from '../errors.ts'
import { publish } from '../events.ts'
import type { Guard } from '../guard/guard.ts'
import { toRunParts } from '../guard/record-only-guard.ts'
import { type JobIdentity, runIdentity } from '../run/identity.ts'
import { type Run, type RunRow, runFromRow } from '../run/run.ts'
import type { Runtime } from '../runtime.ts'

/** The answer to `open`, as it was at that moment: nothing is held, and a worker may take the run in the next one. */
export interface Opened {
  /** The run of this work, to put into the payload. */
  readonly run: Run
  /**
   * `opened` now; `already_open`: a run of this work waits or executes; `cooling_down`: it finished a moment ago;
   * `exists`: the named run has ended, and a new delivery would reopen it.
   */
  readonly state: 'opened' | 'already_open' | 'cooling_down' | 'exists'
}

/**
 * One open run per work, first by the database's clock. A run that is opened without a run id gets one, and with it
 * the identity that its deliveries will have.
 * @throws ScopeMismatchError, DatabaseUnavailableError
 */
export async function openRun(
  runtime: Runtime,
  guard: Guard,
  job: JobIdentity,
  context: unknown,
): Promise<Opened> {
  const opened = await findOrOpen(runtime, guard, job, context)
  publish('opsledger:run.opened', { schema: runtime.schema, run: opened.run, state: opened.state })
  return opened
}

async function findOrOpen(
  runtime: Runtime,
  guard: Guard,
  job: JobIdentity,
  context: unknown,
): Promise<Opened> {
  const cooling = await guard.coolingRun(job)
  if (cooling !== null) {
    // A run id of another type has the same identity.
    if (cooling.run.type !== job.type) throw new ScopeMismatchError(job.runId ?? cooling.run.id)
    return { run: cooling.run, state: 'cooling_down' }
  }
  const runId = job.runId ?? v7()
  const identity = job.isSystem ? job.identity : runIdentity(job.scope, runId)
  const request = { ...toRunParts(job, runId, context), identity }
  const answer = (await retrying(
    () => runtime.executor.call('open_run', [JSON.stringify(request)]),
    runtime.admissionTimeoutMs,
    runtime.isClosed,
  )) as { state: Exclude<Opened['state'], 'cooling_down'> | 'not_this_scope'; run: RunRow }
  if (answer.state === 'not_this_scope') throw new ScopeMismatchError(runId)
  return { run: runFromRow(answer.run), state: answer.state }
}
