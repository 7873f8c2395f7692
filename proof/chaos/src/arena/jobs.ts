import type { Random } from '@opsledger/testing'
import type { Job } from './messages.ts'

export interface JobMix {
  /** Part of every name. */
  readonly name: string
  readonly works: number
  /** Of ten deliveries, how many are a second dispatch of work that another delivery brings. */
  readonly duplicatesInTen?: number
  /** Handlers take from half of this to all of it, in ms. */
  readonly handlerMs?: number
  readonly blockMs?: number
  /** Some fail once or twice before they succeed; some fail for good. */
  readonly failures?: boolean
  /** Every other work gets it, the rest none. */
  readonly cooldownMs?: number
}

/** Long enough to refuse what is dispatched twice in one run, in ms. */
const COOLDOWN_MS = 60_000

/** Deliveries of works, in an order that brings duplicates close to their originals. */
export function makeJobs(random: Random, mix: JobMix): Job[] {
  const {
    name,
    works,
    duplicatesInTen = 3,
    handlerMs = 40,
    blockMs = 0,
    failures = true,
    cooldownMs = COOLDOWN_MS,
  } = mix
  const jobs: Job[] = []
  for (let n = 0; n < works; n++) {
    const kind = random.next()
    const job: Job = {
      deliveryId: `${name}/${n}`,
      work: `${name}/w${n}`,
      tenantId: `t${n % 7}`,
      attempt: 1,
      maxAttempts: 4,
      cooldownMs: n % 2 === 0 ? 0 : cooldownMs,
      handlerMs: Math.ceil(handlerMs * (0.5 + random.next() / 2)),
      blockMs,
      failures: failures && kind < 0.25 ? 1 + random.below(2) : 0,
      ending: failures && kind > 0.93 ? 'fails' : 'returns',
    }
    jobs.push(job)
    if (random.below(10) < duplicatesInTen) jobs.push({ ...job, deliveryId: `${name}/${n}/again` })
  }
  return jobs
}

/** What the judge must know of a work, from its job. */
export function cooldownOf(jobs: Iterable<Job>): (work: string) => number {
  const byWork = new Map<string, number>()
  for (const { work, cooldownMs } of jobs) byWork.set(work, cooldownMs)
  return (work) => byWork.get(work) ?? 0
}
