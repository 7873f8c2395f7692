import type { Evidence } from '../arena/arena.ts'
import { NANOS_PER_MS, type Section } from './sections.ts'

/** What was admitted before the freeze may begin right after it, before anything could be looked at, in ns. */
const BEGINS_WITHIN = 100n * NANOS_PER_MS

/**
 * The overlaps that nobody promises away: the older of the two is the attempt of a worker that was frozen past its lease
 * when the newer one began, and nothing but the lease held the work: the worker is in lease mode, or was cut off from
 * its locks as well (`unlocked`: the fences whose lock was gone while it was frozen). Awake, it looks whether its work
 * was taken and lets go of it, within a lease.
 */
export function overlapsOfFrozen(
  { crew, modes }: Pick<Evidence, 'crew' | 'modes'>,
  leaseMs: number,
  unlocked: ReadonlySet<number> = new Set(),
) {
  const lease = BigInt(leaseMs) * NANOS_PER_MS
  // The newest renewal was a fifth of the lease old, or more where the machine was busy. Whether a lease was taken before
  // it had run out is not judged here but seen in its row.
  const soonest = lease / 2n
  return (one: Section, other: Section): boolean => {
    const [older, newer] = one.fence < other.fence ? [one, other] : [other, one]
    const isByLeaseAlone = modes.get(older.pid) === 'lease' || unlocked.has(older.fence)
    if (!isByLeaseAlone || older.endedAt === null) return false
    const freezes = crew.interruptions.filter(({ pid, kind }) => pid === older.pid && kind === 'frozen')
    const isTakenInOne = freezes.some(
      ({ from, until }) =>
        until !== null &&
        until - from >= soonest &&
        newer.startedAt >= from + soonest &&
        older.startedAt <= until + BEGINS_WITHIN,
    )
    // Frozen again before it could look, it looks when it wakes up from that.
    const awakeAt = freezes.findLast(({ from }) => from < older.endedAt!)?.until ?? null
    return isTakenInOne && awakeAt !== null && older.endedAt < awakeAt + lease
  }
}
