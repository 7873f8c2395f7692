import type { Subject } from '../case.ts'
import { caseOf } from '../cases/index.ts'
import { createLimit } from '../limit.ts'
import type { Figures, Trial, TrialPlace } from '../trial.ts'

/** Deliveries of each identity: nine of ten are duplicates. */
const DELIVERIES = 10

/** What is delivered at once, as numbers of works; nothing of it was delivered before. */
type Wave = (number: number) => readonly number[]

/** All deliveries of a wave are of one identity. */
export function measureOneIdentity(trial: Trial, place: TrialPlace): Promise<Figures> {
  return measureWaves(trial, place, 1, (wave) => Array.from({ length: trial.concurrency }, () => wave))
}

/** `size` identities, ten deliveries of each, in an order that is the same in every run. */
export function measureMostlyDuplicates(trial: Trial, place: TrialPlace): Promise<Figures> {
  const random = createRandom(1)
  return measureWaves(trial, place, trial.size, (wave) =>
    shuffled(
      Array.from({ length: trial.size * DELIVERIES }, (_, n) => wave * trial.size + (n % trial.size)),
      random,
    ),
  )
}

/** Whole waves, one after the other, until the time is over. Every identity must be executed exactly once. */
async function measureWaves(
  trial: Trial,
  place: TrialPlace,
  identities: number,
  deliveriesOf: Wave,
): Promise<Figures> {
  const prepare = await caseOf(trial.case).load()
  const subject = await prepare({ ...place, handler: () => {} })
  let wave = 0
  const spend = async (ms: number) => {
    const beganAt = performance.now()
    let deliveries = 0
    do {
      const works = deliveriesOf(wave++)
      const executed = await deliver(subject, works, trial.concurrency)
      if (executed !== identities) throw new Error(`${executed} executions of ${identities} identities`)
      deliveries += works.length
    } while (performance.now() - beganAt < ms)
    return { deliveries, elapsedMs: performance.now() - beganAt }
  }
  await spend(trial.warmUpMs)
  const cpuBefore = process.cpuUsage()
  const { deliveries, elapsedMs } = await spend(trial.measureMs)
  const { user, system } = process.cpuUsage(cpuBefore)
  await subject.close()
  return {
    deliveriesPerSecond: (deliveries / elapsedMs) * 1_000,
    cpuMsPerDelivery: (user + system) / 1_000 / deliveries,
  }
}

/** @returns how many of them were executed */
async function deliver(subject: Subject, works: readonly number[], concurrency: number): Promise<number> {
  const limit = createLimit(concurrency)
  const answers = await Promise.all(works.map((work) => limit(() => subject.job(work))))
  return answers.filter((executed) => executed).length
}

function shuffled(values: number[], random: () => number): number[] {
  for (let last = values.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const value = values[last]!
    values[last] = values[other]!
    values[other] = value
  }
  return values
}

/** Numerical Recipes' linear congruential generator: good enough to mix deliveries. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
