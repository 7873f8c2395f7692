/** Who stands in the way of an identity, and until when. */
export type Explanation =
  /** Nobody ever claimed it, or the cooldown is over: the next delivery executes. */
  | { readonly state: 'free'; readonly lastRunId: string | null; readonly settledAt: Date | null }
  | {
      readonly state: 'held'
      readonly runId: string | null
      readonly attempt: number | null
      readonly fence: number
      readonly deliveryId: string
      readonly workerId: string
      readonly host: string | null
      readonly pid: number | null
      readonly since: Date
      /** `expired` and `retired`: the next delivery takes it over, unless the holder's lock session is alive. */
      readonly lease: 'live' | 'expired' | 'retired' | 'unknown'
      readonly leaseExpiresAt: Date | null
      /** As `pg_locks` shows it for a `bigint` key: `classid` is its upper half, `objid` its lower one. */
      readonly lockKey: string
      readonly why: string
    }
  | {
      readonly state: 'cooling'
      readonly runId: string | null
      readonly since: Date
      readonly until: Date
      readonly retryAfterMs: number
      readonly why: string
    }

export interface ExplanationRow {
  state: 'held' | 'free' | 'cooling'
  identity: string
  lockKey: string
  fence: number
  runId: string | null
  attempt: number | null
  runType: string | null
  deliveryId: string
  workerId: string
  host: string | null
  pid: number | null
  claimedAt: string
  settledAt: string | null
  cooldownUntil: string | null
  leaseExpiresAt: string | null
  leaseState: 'live' | 'expired' | 'retired' | 'unknown'
  remainingMs: number
}

/** A holder stands before a cooldown, and the longest cooldown before the others: the order of the rows. */
export function explanationFrom(rows: readonly ExplanationRow[]): Explanation {
  const row = rows.find((candidate) => candidate.state === 'held' || candidate.remainingMs > 0) ?? rows[0]
  if (row === undefined) return { state: 'free', lastRunId: null, settledAt: null }
  const { runId, attempt, fence, deliveryId, workerId, host, pid, lockKey } = row
  if (row.state === 'held') {
    return {
      state: 'held',
      ...{ runId, attempt, fence, deliveryId, workerId, host, pid, lockKey },
      since: new Date(row.claimedAt),
      lease: row.leaseState,
      leaseExpiresAt: row.leaseExpiresAt === null ? null : new Date(row.leaseExpiresAt),
      why: heldBecause(row),
    }
  }
  if (row.state === 'cooling' && row.remainingMs > 0) {
    return {
      state: 'cooling',
      runId,
      since: new Date(row.settledAt!),
      until: new Date(row.cooldownUntil!),
      retryAfterMs: row.remainingMs,
      why: `Run ${runId} ended at ${row.settledAt}; this work is refused until ${row.cooldownUntil}.`,
    }
  }
  return {
    state: 'free',
    lastRunId: runId,
    settledAt: row.settledAt === null ? null : new Date(row.settledAt),
  }
}

function heldBecause({
  runId,
  attempt,
  host,
  pid,
  workerId,
  deliveryId,
  leaseState,
  claimedAt,
}: ExplanationRow) {
  const where = host === null ? `worker ${workerId}` : `process ${pid} on ${host}`
  const who = `Attempt ${attempt} of run ${runId} (delivery ${deliveryId}) executes in ${where} since ${claimedAt}`
  if (leaseState === 'live') return `${who}.`
  return `${who}, but its lease is ${leaseState}: the next delivery takes it over, unless its lock session is alive.`
}
