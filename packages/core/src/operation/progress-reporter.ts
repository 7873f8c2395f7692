import type { Progress } from '../run/run.ts'
import type { Runtime } from '../runtime.ts'
import type { Execution } from '../worker/executions.ts'

/** Often enough for somebody who watches, rarely enough that short jobs never write any. */
export const DEFAULT_PROGRESS_EVERY_MS = 1_000

export interface ProgressReporter {
  /** Reports this execution while it runs; call the answer when it ends. */
  watch(execution: Execution): () => void
  close(): void
}

/**
 * Shows operators what running attempts have counted: one statement per interval for all of them, only for what has
 * changed. A report that fails is not repeated; the next one says more anyway.
 */
export function createProgressReporter(runtime: Runtime, everyMs: number): ProgressReporter {
  const watched = new Map<Execution, string>()
  let timer: NodeJS.Timeout | undefined

  const report = async () => {
    timer = undefined
    const reports: object[] = []
    for (const [execution, shown] of watched) {
      const progress = execution.book.progress
      const text = JSON.stringify(progress)
      if (text === shown || isNothing(progress)) continue
      watched.set(execution, text)
      reports.push({ run_id: execution.claim.runId, fence: execution.claim.fence, progress })
    }
    if (reports.length > 0) {
      await runtime.executor.call('report_progress', [JSON.stringify(reports)]).catch(() => {})
    }
    schedule()
  }
  const schedule = () => {
    if (watched.size > 0) timer ??= setTimeout(report, everyMs).unref()
  }

  return {
    watch(execution) {
      watched.set(execution, '')
      schedule()
      return () => {
        watched.delete(execution)
      }
    },
    close() {
      clearTimeout(timer)
      watched.clear()
    },
  }
}

function isNothing({ total, processed }: Progress): boolean {
  return total === null && processed === 0
}
