import { type Nanos, nanos, startWorker, type WorkerProcess } from '@opsledger/testing'
import type { FromWorker, Job, Phase, Then, WorkerSettings } from './messages.ts'
import type { Queue, Taker } from './queue.ts'

/** Where a job of this worker is. */
export interface HandState {
  readonly job: Job
  phase: Phase
  fence: number | null
  /** What the queue was told in the end. */
  toldQueue: Then | null
}

/** A worker process of the crew. */
export interface Worker extends Taker {
  readonly process: WorkerProcess
  readonly settings: WorkerSettings
  readonly hands: ReadonlyMap<number, HandState>
  readonly isAlive: boolean
  /** SIGKILL; what it held goes back to the queue, and somebody else takes its place. */
  kill(): Promise<Worker>
  /** Resolves when one of its jobs comes into this phase; null when the process ends before. */
  nextPhase(phase: Phase): Promise<HandState | null>
  freeze(): void
  thaw(): void
}

/** When a process was stopped from outside. */
export interface Interruption {
  readonly pid: number
  readonly kind: 'killed' | 'frozen'
  readonly from: Nanos
  until: Nanos | null
}

export interface Crew {
  readonly workers: readonly Worker[]
  readonly interruptions: readonly Interruption[]
  /** Processes that ended without being told to: their stderr. */
  readonly fallen: readonly string[]
  hire(settings: WorkerSettings): Promise<Worker>
  /** Everybody closes its ledger and ends; who does not within this time is named in the error. */
  dismiss(withinMs: number): Promise<void>
}

const WORKER_FILE = new URL('./worker.ts', import.meta.url)
/** The start of a process on a machine that is busy with all the others. */
const READY_WITHIN_MS = 60_000

export function createCrew(queue: Queue, slots: number): Crew {
  const workers: Worker[] = []
  const interruptions: Interruption[] = []
  const fallen: string[] = []

  let hired = 0

  const hire = async (settings: WorkerSettings): Promise<Worker> => {
    const number = hired++
    const child = startWorker(WORKER_FILE, { args: [JSON.stringify(settings)] })
    const hands = new Map<number, HandState>()
    let watchers: { phase: Phase; resolve: (state: HandState | null) => void }[] = []
    let isAlive = true
    let isExpected = false

    const worker: Worker = {
      number,
      process: child,
      settings,
      hands,
      get isAlive() {
        return isAlive
      },
      get freeHands() {
        return isAlive ? slots - hands.size : 0
      },
      take(hand, job) {
        hands.set(hand, { job, phase: 'asked', fence: null, toldQueue: null })
        child.send({ hand, job })
      },
      async kill() {
        isExpected = true
        isAlive = false
        interruptions.push({ pid: child.pid, kind: 'killed', from: nanos(), until: null })
        await child.kill()
        return worker
      },
      nextPhase(phase) {
        if (!isAlive) return Promise.resolve(null)
        const { promise, resolve } = Promise.withResolvers<HandState | null>()
        watchers.push({ phase, resolve })
        return promise
      },
      freeze() {
        interruptions.push({ pid: child.pid, kind: 'frozen', from: nanos(), until: null })
        child.stop()
      },
      thaw() {
        const last = interruptions.findLast(({ pid, kind }) => pid === child.pid && kind === 'frozen')
        // Before it goes on: whatever it does then, it does awake.
        if (last !== undefined) last.until = nanos()
        child.cont()
      },
    }
    await child.next<FromWorker>((message) => message.kind === 'ready', { withinMs: READY_WITHIN_MS })
    const listen = async () => {
      for await (const message of child.messages<FromWorker>()) {
        if (message.kind === 'phase') {
          const state = hands.get(message.hand)
          if (state === undefined) continue
          state.phase = message.phase
          state.fence = message.fence ?? state.fence
          const heard = watchers.filter(({ phase }) => phase === message.phase)
          watchers = watchers.filter(({ phase }) => phase !== message.phase)
          for (const { resolve } of heard) resolve(state)
        } else if (message.kind === 'concluded') {
          const state = hands.get(message.hand)
          if (state !== undefined) state.toldQueue = message.then
          hands.delete(message.hand)
          queue.concluded(message.hand, message.then)
        }
      }
    }
    const heard = listen()
    child.exited.then(async ({ code, signal }) => {
      await heard
      isAlive = false
      for (const { resolve } of watchers) resolve(null)
      watchers = []
      workers.splice(workers.indexOf(worker), 1)
      queue.detach(worker)
      hands.clear()
      queue.lost(worker)
      if (!isExpected && !(code === 0 && isDismissed)) {
        fallen.push(
          `process ${child.pid} ended with ${signal ?? code}: ${child.stderr || '(nothing on stderr)'}`,
        )
      }
    })
    // In the order in which they were hired, however long each took to start: a seed picks the same ones again.
    const later = workers.findIndex((other) => other.number > number)
    workers.splice(later === -1 ? workers.length : later, 0, worker)
    queue.attach(worker)
    return worker
  }

  let isDismissed = false
  return {
    workers,
    interruptions,
    fallen,
    hire,
    async dismiss(withinMs) {
      isDismissed = true
      const leaving = [...workers]
      for (const { process } of leaving) process.send({ close: true })
      const late = AbortSignal.timeout(withinMs)
      for (const { process } of leaving) {
        await Promise.race([
          process.exited,
          new Promise<void>((resolve) => late.addEventListener('abort', () => resolve(), { once: true })),
        ])
        if (late.aborted) {
          fallen.push(`process ${process.pid} did not end within ${withinMs} ms of being told to`)
          await process.kill()
        }
      }
    },
  }
}
