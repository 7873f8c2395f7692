import type { Evidence } from '../arena/arena.ts'
import { NANOS_PER_MS, type Section } from './sections.ts'

/** What was admitted before the freeze may begin right after it, before anything could be looked at, in ns. */
const BEGINS_WITHIN = 100n * NANOS_PER_MS

/** The server's clock may be set right by this much between a freeze and the look at its leases, in ns. */
const CLOCKS_WITHIN = 10n * NANOS_PER_MS

/**
 * The overlaps that nobody promises away: the older of the two is the attempt of a worker whose lease ran out while it was
 * frozen, and nothing but the lease held the work: the worker is in lease mode, or was cut off from its locks as well
 * (`unlocked`: the fences whose lock was gone while it was frozen). The newer one began after that. Awake, the worker looks
 * whether its work was taken and lets go of it, within a lease.
 */
export function overlapsOfFrozen(
  { crew, modes, ledger }: Pick<Evidence, 'crew' | 'modes' | 'ledger'>,
  leaseMs: number,
  unlocked: ReadonlySet<number> = new Set(),
) {
  const lease = BigInt(leaseMs) * NANOS_PER_MS
  return (one: Section, other: Section): boolean => {
    const [older, newer] = one.fence < other.fence ? [one, other] : [other, one]
    const isByLeaseAlone = modes.get(older.pid) === 'lease' || unlocked.has(older.fence)
    if (!isByLeaseAlone || older.endedAt === null) return false
    const freezes = crew.interruptions.filter(({ pid, kind }) => pid === older.pid && kind === 'frozen')
    const leases = ledger.retiredLeases.filter(({ pid }) => pid === older.pid)
    const isTakenInOne = freezes.some(
      ({ from, until }) =>
        until !== null &&
        older.startedAt <= until + BEGINS_WITHIN &&
        leases.some(
          ({ expiresAt }) =>
            from <= expiresAt + CLOCKS_WITHIN &&
            expiresAt <= until + CLOCKS_WITHIN &&
            expiresAt <= newer.startedAt + CLOCKS_WITHIN,
        ),
    )
    // Frozen again before it could look, it looks when it wakes up from that.
    const awakeAt = freezes.findLast(({ from }) => from < older.endedAt!)?.until ?? null
    return isTakenInOne && awakeAt !== null && older.endedAt < awakeAt + lease
  }
}
