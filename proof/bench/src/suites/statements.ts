import { startStatementLog } from '@opsledger/testing'
import type { Subject } from '../case.ts'
import { caseOf } from '../cases/index.ts'
import { createLimit } from '../limit.ts'
import type { Figures, Trial, TrialPlace } from '../trial.ts'

/** Behind the jobs that are counted, so that what is done once per process is over. */
const WARM_UP_JOBS = 64
const DUPLICATES = 31
/** A duplicate that waits for the end of the work, as one of DBOS does, is let go on after this. */
const PATIENCE_MS = 300

/**
 * Statements and round trips, read off the wire by a proxy: exact, on any server, and too slow to be timed. Then what
 * duplicates cost while their work runs in the same process.
 */
export async function countStatements(trial: Trial, place: TrialPlace): Promise<Figures> {
  const { excludes, jobsPerCall, load } = caseOf(trial.case)
  const prepare = await load()
  await using log = await startStatementLog(place.url)
  // One call of the bulk limit carries many numbers: none of them is held.
  const held = holdWork(excludes ? WARM_UP_JOBS + trial.size : -1)
  const subject = await prepare({ ...place, url: log.url, handler: held.handler })
  const limit = createLimit(Math.max(1, Math.ceil(trial.concurrency / jobsPerCall)))
  const work = (from: number, calls: number) =>
    Promise.all(Array.from({ length: calls }, (_, call) => limit(() => subject.job(from + call))))

  await work(0, WARM_UP_JOBS)
  const calls = Math.max(1, Math.ceil(trial.size / jobsPerCall))
  const { statements, roundTrips, transactions } = await log.record(() => work(WARM_UP_JOBS, calls))
  const jobs = calls * jobsPerCall
  const figures = {
    statementsPerJob: statements.length / jobs,
    roundTripsPerJob: roundTrips / jobs,
    transactionsPerJob: transactions / jobs,
  }
  if (!excludes || trial.concurrency === 1) {
    await subject.close()
    return figures
  }
  await held.begin(subject)
  const duplicates = await log.record(() => held.duplicates(subject))
  await held.end()
  await subject.close()
  return { ...figures, roundTripsPerLocalDuplicate: duplicates.roundTrips / DUPLICATES }
}

/** The work with this number runs until it is released. */
function holdWork(heldIndex: number) {
  const begun = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  let first: Promise<unknown> = Promise.resolve()
  return {
    handler(index: number): Promise<void> | undefined {
      if (index !== heldIndex) return undefined
      begun.resolve()
      return released.promise
    },
    begin(subject: Subject) {
      first = subject.job(heldIndex)
      return begun.promise
    },
    async duplicates(subject: Subject): Promise<void> {
      const answers = Array.from({ length: DUPLICATES }, () => subject.job(heldIndex))
      const timer = setTimeout(released.resolve, PATIENCE_MS)
      await Promise.all(answers)
      clearTimeout(timer)
    },
    async end(): Promise<void> {
      released.resolve()
      await first
    },
  }
}
