import { onTestFinished } from 'vitest'
import { startWorker as start, type WorkerOptions, type WorkerProcess } from '../processes.ts'

/** As in the main entry, and killed when the test ends. Only inside a test; in `beforeAll` use the other one. */
export function startWorker(file: URL, options?: WorkerOptions): WorkerProcess {
  const worker = start(file, options)
  onTestFinished(async () => {
    await worker.kill()
  })
  return worker
}
