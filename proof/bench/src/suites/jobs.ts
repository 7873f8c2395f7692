import { caseOf } from '../cases/index.ts'
import { runLoad } from '../load.ts'
import { Meter, type Reading } from '../meter.ts'
import { quantile } from '../statistics.ts'
import type { Figures, Trial, TrialPlace } from '../trial.ts'

/** Unique identities and handlers that do nothing: the price of guard and ledger. */
export async function measureJobs(trial: Trial, place: TrialPlace): Promise<Figures> {
  const { jobsPerCall, load } = caseOf(trial.case)
  const prepare = await load()
  const meter = await Meter.open(place)
  const subject = await prepare({ ...place, handler: () => {} })
  await meter.checkpoint()
  const before = await meter.read()
  const readings: Reading[] = []
  const { calls, allCalls, elapsedMs, latenciesMs } = await runLoad(
    async (index) => {
      if (!(await subject.job(index))) throw new Error(`job ${index} was refused`)
    },
    {
      concurrency: Math.max(1, Math.ceil(trial.concurrency / jobsPerCall)),
      warmUpMs: trial.warmUpMs,
      measure: trial.measureMs,
      onMark: async () => {
        readings.push(await meter.read())
      },
    },
  )
  await subject.close()
  const after = await meter.readWhenAlone()
  await meter.close()
  const [begin, end] = readings as [Reading, Reading]
  const jobs = calls * jobsPerCall
  return {
    jobsPerSecond: (jobs / elapsedMs) * 1_000,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    cpuMsPerJob: (end.cpuMs - begin.cpuMs) / jobs,
    walBytesPerJob: (end.walBytes - begin.walBytes) / jobs,
    transactionsPerJob: (after.transactions - before.transactions) / (allCalls * jobsPerCall),
    connections: Math.max(begin.connections, end.connections),
  }
}
