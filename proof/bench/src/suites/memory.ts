import { caseOf } from '../cases/index.ts'
import type { Figures, Trial, TrialPlace } from '../trial.ts'

const SAMPLE_EVERY_MS = 20

/** So many deliveries at once, without anything in front that holds them back. */
export async function measureMemory(trial: Trial, place: TrialPlace): Promise<Figures> {
  const prepare = await caseOf(trial.case).load()
  const subject = await prepare({ ...place, handler: () => {} })
  await subject.job(0)
  const idle = process.memoryUsage()
  let peakRss = idle.rss
  let peakHeap = idle.heapUsed
  const sampling = setInterval(() => {
    const { rss, heapUsed } = process.memoryUsage()
    peakRss = Math.max(peakRss, rss)
    peakHeap = Math.max(peakHeap, heapUsed)
  }, SAMPLE_EVERY_MS)
  const beganAt = performance.now()
  const executed = await Promise.all(Array.from({ length: trial.size }, (_, index) => subject.job(index + 1)))
  const elapsedMs = performance.now() - beganAt
  clearInterval(sampling)
  const refused = executed.filter((was) => !was).length
  if (refused > 0) throw new Error(`${refused} of ${trial.size} executions were refused`)
  await subject.close()
  return {
    jobsPerSecond: (trial.size / elapsedMs) * 1_000,
    peakRssMiB: peakRss / 2 ** 20,
    peakHeapMiB: peakHeap / 2 ** 20,
    heapBytesPerWaiting: (peakHeap - idle.heapUsed) / trial.size,
  }
}
