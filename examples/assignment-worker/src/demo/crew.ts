import { type ProcessExit, startWorker, type WorkerProcess } from '@opsledger/testing'
import type { DemoWorkerSettings } from './demo-worker.ts'
import type { Happening, Happenings } from './happenings.ts'

/** Handing back and closing takes milliseconds; what takes longer than this hangs. */
const STOP_WITHIN_MS = 10_000

type Ending = ProcessExit & { readonly pid: number }

/** The worker processes. */
export interface Crew extends AsyncDisposable {
  /** Resolves when it takes jobs. */
  hire(): Promise<WorkerProcess>
  /** SIGKILL, and waits until it is gone. */
  kill(worker: WorkerProcess): Promise<void>
  /** SIGTERM to all. How each that was not killed has ended, also those that crashed before. */
  sendHome(): Promise<Ending[]>
}

export function createCrew(
  settings: DemoWorkerSettings,
  happenings: Happenings,
  onCrash: (message: string) => void,
): Crew {
  const members = new Set<WorkerProcess>()
  const atWork = new Set<WorkerProcess>()

  const listen = async (worker: WorkerProcess, onReady: () => void) => {
    for await (const message of worker.messages<{ name: 'ready' } | Omit<Happening, 'worker'>>()) {
      if (message.name === 'ready') onReady()
      else happenings.add({ ...message, worker } as Happening)
    }
    if (!atWork.delete(worker)) return
    const { code, signal } = await worker.exited
    onCrash(`worker ${worker.pid} ended unasked (${signal ?? `code ${code}`}): ${worker.stderr}`)
  }
  const endInTime = async (worker: WorkerProcess): Promise<Ending> => {
    atWork.delete(worker)
    const timer = setTimeout(() => void worker.kill(), STOP_WITHIN_MS)
    const exit = await worker.kill('SIGTERM')
    clearTimeout(timer)
    return { pid: worker.pid, ...exit }
  }

  return {
    async hire() {
      const worker = startWorker(new URL('./demo-worker.ts', import.meta.url), {
        env: { DEMO_WORKER: JSON.stringify(settings) },
      })
      members.add(worker)
      atWork.add(worker)
      const { promise: ready, resolve } = Promise.withResolvers<void>()
      void listen(worker, resolve)
      const ended = worker.exited.then(({ code, signal }) => {
        throw new Error(`a worker ended (${signal ?? `code ${code}`}) before it was ready: ${worker.stderr}`)
      })
      await Promise.race([ready, ended])
      return worker
    },
    async kill(worker) {
      members.delete(worker)
      atWork.delete(worker)
      await worker.kill('SIGKILL')
    },
    sendHome: () => Promise.all([...members].map(endInTime)),
    async [Symbol.asyncDispose]() {
      atWork.clear()
      await Promise.all([...members].map((worker) => worker.kill()))
    },
  }
}
