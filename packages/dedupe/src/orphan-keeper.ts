import {
  type Claim,
  createBatcher,
  isConflict,
  isConnectionError,
  isShortOfResources,
  type Runtime,
  type Settlement,
  sqlState,
  toSettlement,
} from '@opsledger/core/guard'
import type { AskedWork, LocalRegistry } from './local-registry.ts'

/** Kept at most: an outage that leaves more behind leaves them to the next delivery of the work, which takes over. */
const MAX_KEPT = 10_000

/** What a lost admission may have claimed: the database knows under which identity. */
interface Suspect extends AskedWork {
  readonly runId: string | null
}

interface Kept {
  readonly claim: Claim
  readonly settlement: Settlement
  readonly cooldownMs: number
}

/**
 * What this process may have left held behind a lost connection: settlements that were given up, and admissions whose
 * reply never came. Once per lease, and after each reconnect, the settlements are sent again and the orphans are
 * freed, without cooldown. Work that comes again before that takes its orphan over by itself.
 */
export interface OrphanKeeper {
  keep(claim: Claim, settlement: Settlement, cooldownMs: number): void
  suspect(lost: Suspect): void
  /** A claim that is held and not executed. */
  abandon(claim: Claim): void
  settle(): Promise<void>
  close(): void
}

export function createOrphanKeeper(runtime: Runtime, registry: LocalRegistry): OrphanKeeper {
  const { executor, leaseMs } = runtime
  const settlements = new Set<Kept>()
  const suspects = new Map<string, { claim: Suspect; since: number }>()
  let timer: NodeJS.Timeout | undefined
  let settling: Promise<void> | null = null

  const schedule = () => {
    if (runtime.isClosed()) return
    timer ??= setTimeout(() => {
      timer = undefined
      keeper.settle().catch(() => {})
    }, leaseMs).unref()
  }

  const send = async (batch: readonly Kept[]) => {
    await executor.call('settle', [JSON.stringify(batch.map(toSettlement))])
    return batch
  }
  const isPassing = (error: unknown) =>
    isConnectionError(error) ||
    isConflict(error) ||
    isShortOfResources(error) ||
    sqlState(error)?.startsWith('53')
  const isolates = (error: unknown) => !isConnectionError(error)
  // A statement's settlements are of one kind.
  const recorded = createBatcher(send, { isolates })
  const unrecorded = createBatcher(send, { isolates })

  const settleKept = async () => {
    await Promise.all(
      [...settlements].map(async (kept) => {
        try {
          await (kept.claim.runId === null ? unrecorded : recorded).add(kept)
        } catch (error) {
          if (isPassing(error)) return
          // The database will never take it: then at least its claim must not stay.
          keeper.abandon(kept.claim)
        }
        settlements.delete(kept)
      }),
    )
  }

  const freeSuspects = async () => {
    const asked = [...suspects].filter(([, { claim }]) => !registry.isBusy(claim.identity, claim.workKey))
    if (asked.length === 0) return
    const askedAt = performance.now()
    const claims = asked.map(([, { claim }]) => claim)
    await registry.whileFreeing(claims, async () => {
      // Before the list: what is claimed later than this is on no list, and none of this statement's business.
      const newestFence = await executor.call('last_fence', [])
      await registry.answered(claims)
      await executor.call('free_orphans', [
        JSON.stringify(
          claims.map(({ identity, workKey, runId }) => ({ identity, work_key: workKey, run_id: runId })),
        ),
        await runtime.term.id(),
        // What still has its settlement is no orphan: freed, its result would never be recorded.
        JSON.stringify([...registry.liveFences(), ...[...settlements].map(({ claim }) => claim.fence)]),
        newestFence,
      ])
    })
    // An admission whose connection was lost may still wait for a row, and commit later.
    for (const [key, suspect] of asked) {
      if (suspect.since + leaseMs <= askedAt && suspects.get(key) === suspect) suspects.delete(key)
    }
  }

  const keeper: OrphanKeeper = {
    keep(claim, settlement, cooldownMs) {
      if (settlements.size < MAX_KEPT) settlements.add({ claim, settlement, cooldownMs })
      schedule()
    },
    suspect({ identity, workKey, isNamed, runId }) {
      if (suspects.size < MAX_KEPT) {
        suspects.set(`${identity} ${workKey}`, {
          claim: { identity, workKey, isNamed, runId },
          since: performance.now(),
        })
      }
      schedule()
    },
    abandon({ identity, workKey, runId }) {
      keeper.suspect({ identity, workKey, isNamed: identity !== workKey, runId })
    },
    settle() {
      settling ??= settleKept()
        .then(freeSuspects)
        .finally(() => {
          settling = null
          if (settlements.size + suspects.size > 0) schedule()
        })
      return settling
    },
    close() {
      clearTimeout(timer)
    },
  }
  return keeper
}
