import { startWorker, type WorkerProcess } from '@opsledger/testing'
import type { DemoWorkerSettings } from './demo-worker.ts'
import type { Happening, Happenings } from './happenings.ts'

/** Handing back and closing takes milliseconds; what takes longer than this hangs. */
const STOP_WITHIN_MS = 10_000

/** The worker processes. */
export interface Crew extends AsyncDisposable {
  /** Resolves when it takes jobs. */
  hire(): Promise<WorkerProcess>
  /** SIGTERM to all; true when each ended by itself with code 0. */
  sendHome(): Promise<boolean>
}

export function createCrew(settings: DemoWorkerSettings, happenings: Happenings): Crew {
  const members = new Set<WorkerProcess>()

  const listen = async (worker: WorkerProcess, onReady: () => void) => {
    for await (const message of worker.messages<{ name: 'ready' } | Omit<Happening, 'worker'>>()) {
      if (message.name === 'ready') onReady()
      else happenings.add({ ...message, worker } as Happening)
    }
    members.delete(worker)
  }
  const endInTime = async (worker: WorkerProcess) => {
    const timer = setTimeout(() => void worker.kill(), STOP_WITHIN_MS)
    const { code } = await worker.kill('SIGTERM')
    clearTimeout(timer)
    return code === 0
  }

  return {
    async hire() {
      const worker = startWorker(new URL('./demo-worker.ts', import.meta.url), {
        env: { DEMO_WORKER: JSON.stringify(settings) },
      })
      members.add(worker)
      const { promise: ready, resolve } = Promise.withResolvers<void>()
      void listen(worker, resolve)
      const ended = worker.exited.then(({ code, signal }) => {
        throw new Error(`a worker ended (${signal ?? `code ${code}`}) before it was ready: ${worker.stderr}`)
      })
      await Promise.race([ready, ended])
      return worker
    },
    async sendHome() {
      const ended = await Promise.all([...members].map(endInTime))
      return ended.every(Boolean)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...members].map((worker) => worker.kill()))
    },
  }
}
