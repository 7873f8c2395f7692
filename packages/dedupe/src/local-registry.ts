import type { JobIdentity } from '@opsledger/core'
import type { AdmissionRequest, Claim, Refusal, RunClaim } from '@opsledger/core/guard'

/** An admission, with or without a run in the ledger. */
export interface ClaimRequest extends AdmissionRequest {
  readonly recordsRun: boolean
}

/** What an identity is found by. */
type Work = Pick<JobIdentity, 'identity' | 'workKey'>

/** Work as it is asked for. `isNamed`: by the id of a run, and only the database knows whose work that is. */
export interface AskedWork extends Work {
  readonly isNamed: boolean
}

/** One identity that this process is admitting, executing or settling. */
export interface LocalEntry {
  readonly request: ClaimRequest
  state: 'admitting' | 'executing' | 'settling'
  claim: Claim | RunClaim | null
  /** Why it was not admitted, for those who waited for its answer. */
  refusal: Refusal | null
  /** For those who wait until the state has been left; null while nobody does. */
  left: PromiseWithResolvers<void> | null
}

/**
 * What this process is at, by identity and by work key: session locks are re-entrant, so the database would admit the
 * same process twice. Also which fences are alive here: a claim of this process under another fence is an orphan.
 */
export interface LocalRegistry {
  find(identity: string, workKey: string): LocalEntry | null
  /** Also by newcomers, who are not found: a claim whose answer is on its way is no orphan. */
  isBusy(identity: string, workKey: string): boolean
  /** `isNewcomer`: somebody else is at this identity here, and stays the one who is found. */
  enter(request: ClaimRequest, isNewcomer: boolean): LocalEntry
  /** The claim may be of another identity than was asked for: the run that stands for the work has its own. */
  admitted(entry: LocalEntry, claim: Claim): void
  settling(entry: LocalEntry): void
  /** Of an entry that was just found: resolves when it is in another state, or gone. */
  untilLeft(entry: LocalEntry): Promise<void>
  leave(entry: LocalEntry): void
  byFence(fence: number): LocalEntry | null
  liveFences(): number[]
  isAlive(fence: number): boolean
  /** Newcomers of these works wait until `work` has settled: their orphans are being freed. */
  whileFreeing(works: readonly Work[], work: () => Promise<void>): Promise<void>
  /** Settles when the orphan of this work has been freed or not; null when nobody is at it. */
  freed(identity: string, workKey: string): Promise<void> | null
  /** While this runs, the answer to these is on its way. */
  asking<T>(works: readonly AskedWork[], answer: Promise<T>): Promise<T>
  /**
   * Resolves when the answers have come that are on their way now and may have claimed one of these: what they admitted
   * is alive from then on.
   */
  answered(works: readonly AskedWork[]): Promise<void>
  /** A fence is alive from the moment its answer arrives, before anybody has looked at it. */
  announce(fence: number): void
}

const registries = new WeakMap<object, LocalRegistry>()

/** One for all guards of a ledger: they share its term, so what one executes would be an orphan to the next. */
export function localRegistryOf(runtime: object): LocalRegistry {
  let registry = registries.get(runtime)
  if (registry === undefined) {
    registry = createLocalRegistry()
    registries.set(runtime, registry)
  }
  return registry
}

function createLocalRegistry(): LocalRegistry {
  const byKey = new Map<string, LocalEntry>()
  const byFence = new Map<number, LocalEntry>()
  const alive = new Set<number>()
  const newcomers = new Set<LocalEntry>()
  const freeing = new Map<string, Promise<void>>()
  const underway = new Map<Promise<unknown>, readonly AskedWork[]>()

  /** One, most of the time: the work's, which is its identity. */
  const keysOf = ({ request: { job }, claim }: LocalEntry): string[] => {
    const keys = [job.identity]
    for (const key of [job.workKey, claim?.identity, claim?.workKey]) {
      if (key !== undefined && !keys.includes(key)) keys.push(key)
    }
    return keys
  }

  const announceLeft = (entry: LocalEntry) => {
    entry.left?.resolve()
    entry.left = null
  }
  const nextState = (entry: LocalEntry, state: LocalEntry['state']) => {
    entry.state = state
    announceLeft(entry)
  }

  return {
    find: (identity, workKey) => byKey.get(identity) ?? byKey.get(workKey) ?? null,
    isBusy: (identity, workKey) =>
      byKey.has(identity) ||
      byKey.has(workKey) ||
      [...newcomers].some((entry) => keysOf(entry).some((key) => key === identity || key === workKey)),
    enter(request, isNewcomer) {
      const entry: LocalEntry = { request, state: 'admitting', claim: null, refusal: null, left: null }
      if (isNewcomer) newcomers.add(entry)
      else for (const key of keysOf(entry)) byKey.set(key, entry)
      return entry
    },
    admitted(entry, claim) {
      newcomers.delete(entry)
      entry.claim = claim
      for (const key of keysOf(entry)) byKey.set(key, entry)
      byFence.set(claim.fence, entry)
      alive.add(claim.fence)
      nextState(entry, 'executing')
    },
    settling: (entry) => nextState(entry, 'settling'),
    untilLeft(entry) {
      entry.left ??= Promise.withResolvers()
      return entry.left.promise
    },
    leave(entry) {
      newcomers.delete(entry)
      for (const key of keysOf(entry)) if (byKey.get(key) === entry) byKey.delete(key)
      if (entry.claim !== null) {
        byFence.delete(entry.claim.fence)
        alive.delete(entry.claim.fence)
      }
      announceLeft(entry)
    },
    byFence: (fence) => byFence.get(fence) ?? null,
    liveFences: () => [...alive],
    isAlive: (fence) => alive.has(fence),
    async whileFreeing(works, work) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const keys = works.flatMap(({ identity, workKey }) => [identity, workKey])
      for (const key of keys) freeing.set(key, promise)
      try {
        await work()
      } finally {
        for (const key of keys) freeing.delete(key)
        resolve()
      }
    },
    freed: (identity, workKey) => freeing.get(identity) ?? freeing.get(workKey) ?? null,
    async asking(works, answer) {
      underway.set(answer, works)
      try {
        return await answer
      } finally {
        underway.delete(answer)
      }
    },
    async answered(works) {
      const awaited = [...underway].filter(([, others]) => mayMeet(works, others))
      await Promise.allSettled(awaited.map(([answer]) => answer))
    },
    announce: (fence) => {
      alive.add(fence)
    },
  }
}

function mayMeet(works: readonly AskedWork[], others: readonly AskedWork[]): boolean {
  if (works.some(({ isNamed }) => isNamed) || others.some(({ isNamed }) => isNamed)) return true
  const keys = new Set(works.flatMap(({ identity, workKey }) => [identity, workKey]))
  return others.some(({ identity, workKey }) => keys.has(identity) || keys.has(workKey))
}
