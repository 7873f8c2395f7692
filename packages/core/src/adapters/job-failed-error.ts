import { OpsLedgerError } from '../errors.ts'
import type { Run } from '../run/run.ts'

/**
 * What a queue is given to keep of a failed attempt: only what the ledger keeps, because queues store an error's
 * message and stack as they are. `cause` is what the handler threw, for listeners in this process.
 */
export class JobFailedError extends OpsLedgerError {
  readonly code = 'job_failed'
  readonly runId: string
  readonly reasonCode: string

  constructor(run: Run, cause: unknown) {
    super(run.message ?? run.reasonCode ?? 'The attempt failed.', { cause })
    this.runId = run.id
    this.reasonCode = run.reasonCode ?? 'unknown'
  }
}
