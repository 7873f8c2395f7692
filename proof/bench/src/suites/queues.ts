import { setTimeout as sleep } from 'node:timers/promises'
import { createLedger } from '@opsledger/core'
import { prepareHandRolledFor } from '../cases/hand-rolled.ts'
import { declareJob, migrateLedger, payloadOf } from '../cases/opsledger.ts'
import { queueOf } from '../queues/index.ts'
import type { QueueGuard, QueueWork, Timed } from '../queues/queue.ts'
import { quantile } from '../statistics.ts'
import type { Figures, Trial, TrialPlace } from '../trial.ts'

const HANDLER_MS = 10
/** Jobs put into the queue with one call. */
const FILL = 1_000
/** More than a handler of 10 ms allows at this concurrency, so the queue never runs dry while it is measured. */
const ROOM = 1.1

const handler = () => sleep(HANDLER_MS)

/** A full queue, handlers of 10 ms; what is measured is from the first delivery after the warm-up to the last. */
export async function measureQueue(trial: Trial, place: TrialPlace): Promise<Figures> {
  const open = await queueOf(trial.case).load()
  const queue = await open(place)
  const { work, close } = await workOf(trial, place)
  const mostPerMs = trial.concurrency / HANDLER_MS
  const jobs = Math.ceil((trial.warmUpMs + trial.measureMs) * mostPerMs * ROOM) + FILL
  for (let from = 0; from < jobs; from += FILL) {
    await queue.fill(Array.from({ length: Math.min(FILL, jobs - from) }, (_, n) => payloadOf(from + n)))
  }

  let isMeasuring = false
  let done = 0
  const latencies: number[] = []
  const timed: Timed = (process) =>
    withLengthOf(process, async (...args) => {
      const beganAt = performance.now()
      const answer = await process(...args)
      if (isMeasuring) {
        latencies.push(performance.now() - beganAt)
        // pg-boss delivers a batch with one call.
        done += Array.isArray(args[0]) ? args[0].length : 1
      }
      return answer
    })
  const stop = await queue.work(work, timed, trial.concurrency)
  await sleep(trial.warmUpMs)
  const cpuBefore = process.cpuUsage()
  const beganAt = performance.now()
  isMeasuring = true
  await sleep(trial.measureMs)
  isMeasuring = false
  const elapsedMs = performance.now() - beganAt
  const { user, system } = process.cpuUsage(cpuBefore)
  await stop()
  await close()
  await queue.close()
  if (done === 0) throw new Error('the queue delivered nothing')
  return {
    jobsPerSecond: (done / elapsedMs) * 1_000,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpuMsPerJob: (user + system) / 1_000 / done,
  }
}

async function workOf(
  trial: Trial,
  place: TrialPlace,
): Promise<{ work: QueueWork; close: () => Promise<void> }> {
  const guard = trial.setting as QueueGuard
  if (guard === 'alone') {
    return { work: { kind: 'plain', handle: async () => void (await handler()) }, close: async () => {} }
  }
  if (guard === 'hand-rolled') {
    const { job, close } = await prepareHandRolledFor(trial.concurrency)({
      ...place,
      handler: async () => void (await handler()),
    })
    const handle = async ({ index }: { index: number }) => {
      if (!(await job(index))) throw new Error(`job ${index} was refused`)
    }
    return { work: { kind: 'plain', handle }, close }
  }
  await migrateLedger(place.url)
  const ledger = createLedger({ connection: place.url })
  await ledger.ready()
  const operation = declareJob(ledger, async () => void (await handler()))
  return { work: { kind: 'operation', operation }, close: () => ledger.close() }
}

/** BullMQ looks at how many parameters a processor declares. */
function withLengthOf<F extends (...args: never[]) => unknown>({ length }: F, wrapper: F): F {
  return Object.defineProperty(wrapper, 'length', { value: length })
}
