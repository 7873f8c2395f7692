import { type Claim, type Runtime, type Settlement, toSettlement } from '@opsledger/core/guard'
import type { LocalRegistry } from './local-registry.ts'

/** Kept at most: an outage that leaves more behind leaves them to the next delivery of the work, which takes over. */
const MAX_KEPT = 10_000

/** What a lost admission may have claimed: the database knows under which identity. */
type Suspect = Pick<Claim, 'identity' | 'workKey' | 'runId'>

/**
 * What this process may have left held behind a lost connection: settlements that were given up, and admissions whose
 * reply never came. Once per lease, and after each reconnect, the settlements are sent again and the orphans are
 * freed, without cooldown. Work that comes again before that takes its orphan over by itself.
 */
export interface OrphanKeeper {
  keep(claim: Claim, settlement: Settlement, cooldownMs: number): void
  suspect(claim: Suspect): void
  settle(): Promise<void>
  close(): void
}

export function createOrphanKeeper(runtime: Runtime, registry: LocalRegistry): OrphanKeeper {
  let settlements: { claim: Claim; settlement: Settlement; cooldownMs: number }[] = []
  let suspects: Suspect[] = []
  let timer: NodeJS.Timeout | undefined
  let settling: Promise<void> | null = null

  const schedule = () => {
    timer ??= setTimeout(() => {
      timer = undefined
      keeper.settle().catch(() => {})
    }, runtime.leaseMs).unref()
  }

  const settleKept = async () => {
    if (settlements.length > 0) {
      const sent = settlements
      for (const isOfRun of [true, false]) {
        const batch = sent.filter(({ claim }) => (claim.runId !== null) === isOfRun).map(toSettlement)
        if (batch.length > 0) await runtime.executor.call('settle', [JSON.stringify(batch)])
      }
      settlements = settlements.filter((kept) => !sent.includes(kept))
    }
    const asked = suspects.filter(({ identity, workKey }) => registry.find(identity, workKey) === null)
    if (asked.length > 0) {
      await runtime.executor.call('free_orphans', [
        JSON.stringify(
          asked.map(({ identity, workKey, runId }) => ({ identity, work_key: workKey, run_id: runId })),
        ),
        await runtime.term.id(),
        JSON.stringify(registry.liveFences()),
      ])
      suspects = suspects.filter((suspect) => !asked.includes(suspect))
    }
  }

  const keeper: OrphanKeeper = {
    keep(claim, settlement, cooldownMs) {
      if (settlements.length < MAX_KEPT) settlements.push({ claim, settlement, cooldownMs })
      schedule()
    },
    suspect({ identity, workKey, runId }) {
      if (suspects.length < MAX_KEPT) suspects.push({ identity, workKey, runId })
      schedule()
    },
    settle() {
      settling ??= settleKept().finally(() => {
        settling = null
        if (settlements.length + suspects.length > 0) schedule()
      })
      return settling
    },
    close() {
      clearTimeout(timer)
    },
  }
  return keeper
}
