import type { Happening } from './happenings.ts'
import { shortId } from './run-names.ts'

/** What happened in a worker, in a sentence. */
export function narrate({ name, message, worker }: Happening): string {
  const who = `worker ${worker.pid}`
  switch (name) {
    case 'opsledger:run.admitted':
      return `${who} executes ${message.type} as run ${shortId(message.runId)}, attempt ${message.attempt}`
    case 'opsledger:run.skipped': {
      const { reason, action, holder, retryAfterMs } = message.refusal
      const holds = holder === null ? '' : `, held by run ${shortId(holder.runId)}`
      return `${who} skips ${message.type}: ${reason}${holds} for ${retryAfterMs} ms; ${action}`
    }
    case 'opsledger:run.settled': {
      const { status, outcome, counts, reasonCode } = message.settlement
      const counted = `${counts.processed}/${counts.total}, ${counts.failed} failed`
      const why = reasonCode === null ? '' : `, ${reasonCode}`
      return `${who} settles run ${shortId(message.runId)}: ${status === 'retrying' ? status : outcome}, ${counted}${why}`
    }
    case 'opsledger:run.swept':
      return `${who} closes run ${shortId(message.run.id)} of a lost worker: ${message.run.reasonCode}`
    case 'opsledger:run.aborted':
      return `${who} aborts run ${shortId(message.runId)}: ${message.code}`
    default:
      return `${who}: ${name}`
  }
}
