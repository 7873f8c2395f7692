import { setTimeout as sleep } from 'node:timers/promises'
import type { ExclusionMode } from '@opsledger/dedupe'
import { randomFrom, seedOf } from '@opsledger/testing'
import { type Arena, openArena } from './arena/arena.ts'
import type { Fault, Trial } from './fault.ts'
import { judge, type Ruling } from './oracle/judge.ts'
import { brokenOffReport, type FaultReport, reportOf, skippedReport } from './report/report.ts'
import type { Site } from './site.ts'

export interface FaultRunOptions {
  readonly seed: number
  readonly isLong: boolean
}

/** The library with a rule broken, and when enough of it has been seen. */
export interface MutantTrial {
  /** As the workers know it. */
  readonly name: string
  readonly exclusion: ExclusionMode | null
  isCaughtBy(ruling: Ruling): boolean
}

/** An interrupted fault gets so long to take away what it made, in ms; what it then still holds is taken from it. */
const UNWIND_WITHIN_MS = 10_000

/**
 * One fault, from its first injection to its report.
 * @throws the reason of the signal, once nothing is left of the fault
 */
export async function runFault(
  fault: Fault,
  site: Site,
  { seed, isLong }: FaultRunOptions,
  interrupted: AbortSignal,
  mutant: MutantTrial | null = null,
): Promise<FaultReport> {
  const missing = (await fault.missing?.(site)) ?? null
  if (missing !== null) {
    console.log(`${fault.name}: skipped, ${missing}`)
    return skippedReport(fault, missing)
  }
  const beganAt = performance.now()
  const secondsSoFar = () => (performance.now() - beganAt) / 1_000
  // A seed of its own: a fault is the same whether it runs alone or after others.
  const random = randomFrom(seedOf(`${seed} ${fault.name}`))
  const form = isLong ? 'long' : 'short'
  const arenas = new Set<Arena>()
  let opened = 0
  const trial: Trial = {
    site,
    random,
    // Each round asks how many: so an interrupted fault that waits for no queue ends with its round.
    get injections() {
      interrupted.throwIfAborted()
      return fault.injections[form]
    },
    sections: fault.sections?.[form] ?? 0,
    isLong,
    mutant: mutant?.name ?? null,
    exclusion: mutant?.exclusion ?? null,
    say: (text) => console.log(`${fault.name}: ${text}`),
    async openArena(options = {}) {
      interrupted.throwIfAborted()
      const arena = await openArena({
        serverUrl: site.url,
        // Of its own for each: the queue of a later round does not repeat the first one's choices.
        random: random.fork(`arena ${opened++}`),
        mutant: mutant?.name ?? null,
        ...options,
      })
      return watched(arena, arenas, interrupted)
    },
    judge(evidence, rules) {
      const ruling = judge(evidence, rules)
      // More of the same would show nothing else.
      if (mutant?.isCaughtBy(ruling)) throw new CaughtError(ruling)
      return ruling
    },
  }
  const running = fault.run(trial)
  try {
    const outcome = await Promise.race([running, rejectionOf(interrupted)])
    return reportOf(fault, outcome, secondsSoFar())
  } catch (error) {
    if (interrupted.aborted) {
      await Promise.race([running.catch(() => {}), sleep(UNWIND_WITHIN_MS)])
      for (const arena of arenas) await arena[Symbol.asyncDispose]()
      throw interrupted.reason
    }
    if (error instanceof CaughtError) {
      return reportOf(fault, { injections: 0, rulings: [error.ruling] }, secondsSoFar())
    }
    return brokenOffReport(fault, error, secondsSoFar())
  }
}

class CaughtError extends Error {
  readonly ruling: Ruling

  constructor(ruling: Ruling) {
    super('The mutant is caught')
    this.ruling = ruling
  }
}

/** At the signal its workers end and its queue is waited for by nobody, so that the fault unwinds. */
function watched(arena: Arena, arenas: Set<Arena>, interrupted: AbortSignal): Arena {
  const giveUp = () => {
    arena.queue.abandon(interrupted.reason)
    for (const worker of arena.crew.workers) worker.kill().catch(() => {})
  }
  const watchedArena: Arena = {
    ...arena,
    hire(settings) {
      interrupted.throwIfAborted()
      return arena.hire(settings)
    },
    async [Symbol.asyncDispose]() {
      interrupted.removeEventListener('abort', giveUp)
      if (arenas.delete(watchedArena)) await arena[Symbol.asyncDispose]()
    },
  }
  arenas.add(watchedArena)
  if (interrupted.aborted) giveUp()
  else interrupted.addEventListener('abort', giveUp, { once: true })
  return watchedArena
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  if (signal.aborted) reject(signal.reason)
  else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  return promise
}
