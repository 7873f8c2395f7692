import type { Executor } from '../database/executor.ts'
import { quoteName } from '../database/executor.ts'
import { InvalidOptionError } from '../errors.ts'
import type { Guard } from '../guard/guard.ts'

/** Table blocks (of 8 kB) per transaction: a few thousand rows, a few milliseconds of locks. */
const PRUNE_BLOCKS = 256

const DEFAULT_CLAIMS_OLDER_THAN_MS = 24 * 60 * 60 * 1000

/** A claim row gives its identity's fences their order; younger than any statement in flight, it stays. */
const MIN_CLAIM_AGE_MS = 60_000

/** A hundred years: so far back there is always an instant that Postgres can name. */
const MAX_AGE_MS = 100 * 365 * 24 * 60 * 60 * 1000

/** Ages by the database's clock, in whole ms. */
export interface PruneOptions {
  /**
   * Completed runs are deleted this long after their completion, in ms; terms this long after their end, when nothing
   * unfinished names them.
   */
  readonly runsOlderThanMs: number
  /**
   * Cooldown rows are deleted when they were free, or past their cooldown, for this long, in ms; at least 60,000,
   * because a row gives the fences of its identity their order while a statement may be in flight.
   * @default 24 hours
   */
  readonly claimsOlderThanMs?: number
  /** Stops between two batches; what is deleted by then stays deleted and is reported. */
  readonly signal?: AbortSignal
}

/** Rows that were deleted. */
export interface PruneReport {
  readonly runs: number
  readonly claims: number
  /** Terms of worker processes. */
  readonly leases: number
}

/**
 * Deletes old history in bounded batches. It walks the table once in the order in which it is stored, so it needs no
 * index, and each batch is a transaction of its own. Cooldowns live elsewhere: pruning history re-admits nothing.
 */
export async function pruneLedger(
  executor: Executor,
  schema: string,
  guard: Guard,
  options: PruneOptions,
): Promise<PruneReport> {
  const { runsOlderThanMs, claimsOlderThanMs = DEFAULT_CLAIMS_OLDER_THAN_MS, signal } = options
  assertAge('runsOlderThanMs', runsOlderThanMs, 0)
  assertAge('claimsOlderThanMs', claimsOlderThanMs, MIN_CLAIM_AGE_MS)
  const runs = await walkTable(executor, schema, 'operation_run', signal, async (from, to) =>
    Number(await executor.call('prune_runs', [from, to, runsOlderThanMs])),
  )
  const claims = await guard.pruneClaims(claimsOlderThanMs, signal)
  const leases = signal?.aborted ? 0 : Number(await executor.call('prune_leases', [runsOlderThanMs]))
  return { runs, claims, leases }
}

/** Visits every block of a table as it was when the walk began, a bounded number at a time. */
export async function walkTable(
  executor: Executor,
  schema: string,
  table: string,
  signal: AbortSignal | undefined,
  visit: (fromBlock: number, toBlock: number) => Promise<number>,
): Promise<number> {
  const [size] = await executor.query<{ blocks: string }>(
    `select pg_relation_size('${quoteName(schema)}.${table}') / current_setting('block_size')::int as blocks`,
  )
  const blocks = Number(size?.blocks ?? 0)
  let sum = 0
  for (let from = 0; from < blocks && !signal?.aborted; from += PRUNE_BLOCKS) {
    sum += await visit(from, Math.min(from + PRUNE_BLOCKS, blocks))
  }
  return sum
}

function assertAge(option: string, value: number, leastMs: number): void {
  if (!Number.isInteger(value) || value < leastMs || value > MAX_AGE_MS) {
    throw new InvalidOptionError(
      option,
      value,
      `a whole number of milliseconds from ${leastMs} to ${MAX_AGE_MS}`,
    )
  }
}
