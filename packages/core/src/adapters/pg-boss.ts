import type { Operation } from '../operation/operation.ts'
import { dispose } from './dispose.ts'
import { insist } from './insist.ts'

/** Nothing announces that no other job of a key is active: as often as a poll. */
const REJOIN_AFTER_MS = 1_000

/** In the column `policy` of a job: see `postponePgBossJob`. No index of pg-boss knows it. */
const SET_ASIDE = 'stately, set aside'

/** What is used of a pg-boss `JobWithMetadata`. */
export interface PgBossJob<P> {
  readonly id: string
  readonly name: string
  readonly data: P
  readonly policy?: string
  readonly retryCount: number
  readonly retryLimit: number
  readonly signal: AbortSignal
}

/** What is used of a pg-boss `IDatabase`. */
export interface PgBossDatabase {
  // biome-ignore lint/suspicious/noExplicitAny: as pg-boss declares it
  executeSql(text: string, values?: unknown[]): Promise<{ rows: any[] }>
}

/** What is used of a `PgBoss`. */
export interface PgBossQueue {
  getDb(): PgBossDatabase
}

export interface PgBossOptions {
  /** Where pg-boss keeps its tables, spelt as `PgBoss` was told. @default 'pgboss' */
  readonly schema?: string
}

/** What pg-boss stores of one job of a batch. */
export interface PgBossJobResult {
  readonly id: string
  readonly status: 'completed' | 'failed' | 'deadletter'
  readonly output: object
}

/**
 * A handler for `boss.work`, which must be told `includeMetadata` and `perJobResults`:
 *
 * ```ts
 * const options = { includeMetadata: true, perJobResults: true } as const
 * await boss.work('fetch', options, pgBossHandler(boss, operations.fetch))
 *
 * async function stop() {
 *   const drained = boss.offWork('fetch') // takes no more
 *   await ledger.close() // stops what runs: it goes back to the queue, no attempt is spent
 *   await drained
 *   await boss.stop()
 * }
 * ```
 *
 * - *Executed*, or skipped with nothing lost: `completed`. The output names the run; what the handler returned is not
 *   stored, because one value that is no JSON would fail its whole batch.
 * - *Retry later*, handed back by a shutdown, or aborted before the handler began: see `postponePgBossJob`.
 * - *Failed*: `failed`, and `deadletter` when no retry is wanted: without a dead letter queue that is the end of the
 *   job. The output is what the ledger keeps of the error.
 * - pg-boss aborts the handler's signal when the job expires, when its heartbeat finds the job gone, and at
 *   `boss.stop`; what a handler that has begun then throws is a failed attempt. Close the ledger first, as above.
 *
 * What pg-boss does without asking: a job that runs longer than `expireInSeconds` fails there and is delivered again;
 * while its first execution still runs, it is refused and postponed.
 */
export function pgBossHandler<P, R>(
  boss: PgBossQueue,
  operation: Operation<P, R>,
  options: PgBossOptions = {},
): (jobs: PgBossJob<P>[]) => Promise<PgBossJobResult[]> {
  const handle = async (job: PgBossJob<P>): Promise<PgBossJobResult> => {
    const { id, data, retryCount, retryLimit, signal } = job
    const postpone = async (delayMs: number): Promise<PgBossJobResult> => {
      await postponePgBossJob(boss, job, delayMs, options)
      // The job is no longer this attempt's: pg-boss ignores the answer.
      return { id, status: 'failed', output: { postponed: true } }
    }
    if (job.policy === SET_ASIDE && !(await tryRejoin(boss, job, options))) return postpone(REJOIN_AFTER_MS)
    const delivery = { id, attempt: retryCount + 1, maxAttempts: retryLimit + 1, signal }
    const disposition = await dispose(operation, data, delivery)
    switch (disposition.action) {
      case 'complete':
        return { id, status: 'completed', output: { run: disposition.run.id } }
      case 'skip':
        return { id, status: 'completed', output: disposition.output }
      case 'postpone':
        return postpone(disposition.delayMs)
      case 'fail': {
        const { run, isTerminal } = disposition
        const output = { run: run.id, reasonCode: run.reasonCode, message: run.message }
        return { id, status: isTerminal ? 'deadletter' : 'failed', output }
      }
    }
  }
  return async (jobs: PgBossJob<P>[]): Promise<PgBossJobResult[]> => {
    const results = await Promise.allSettled(jobs.map(handle))
    return results.map((result, index) => {
      if (result.status === 'fulfilled') return result.value
      if (jobs.length === 1) throw result.reason
      // One delivery that could not begin must not fail those beside it, which did.
      return { id: jobs[index]!.id, status: 'failed', output: { message: messageOf(result.reason) } }
    })
  }
}

/**
 * Puts a job that is being worked on back for `delayMs`, without spending an attempt. pg-boss has no call for that, so
 * it is an update of the job's row, limited to the attempt that was fetched: whoever holds the job by now keeps it, and
 * what the handler answers afterwards changes nothing. An update that fails is made again for ten seconds.
 *
 * - The job waits as a `retry`, as after a failed attempt: beside the `created` one of a `short` queue, and before its
 *   successors in a `key_strict_fifo` one.
 * - The next fetch counts as a retry whatever came before: one more is allowed instead, which leaves as many attempts
 *   as there were, with higher numbers.
 * - A `stately` queue has one place for a `retry` of a key, and fails for good whose retry finds it taken. A job of it is
 *   therefore set aside: it waits outside the policy, and is back under it before it executes, which `pgBossHandler`
 *   lets it do only while no other job of its key is active.
 */
export async function postponePgBossJob(
  boss: PgBossQueue,
  { id, name, retryCount }: Pick<PgBossJob<unknown>, 'id' | 'name' | 'retryCount'>,
  delayMs: number,
  { schema = 'pgboss' }: PgBossOptions = {},
): Promise<void> {
  const due = `now() + $4::float8 * interval '1 millisecond'`
  // What pg-boss has kept until then it deletes while it waits, so that instant moves along.
  const text = `
    update ${schema}.job
    set state = 'retry', retry_limit = retry_limit + 1, heartbeat_on = null,
        start_after = ${due}, keep_until = keep_until + (${due} - start_after),
        policy = case policy when 'stately' then '${SET_ASIDE}' else policy end
    where name = $1 and id = $2 and state = 'active' and retry_count = $3`
  await insist(() => boss.getDb().executeSql(text, [name, id, retryCount, delayMs]))
}

/** Puts a job that was set aside back under its policy, unless another of its key is active. */
async function tryRejoin(
  boss: PgBossQueue,
  { id, name, retryCount }: PgBossJob<unknown>,
  { schema = 'pgboss' }: PgBossOptions,
): Promise<boolean> {
  const text = `
    update ${schema}.job as job set policy = 'stately'
    where name = $1 and id = $2 and state = 'active' and retry_count = $3 and not exists (
      select from ${schema}.job as other
      where other.name = $1 and other.id <> $2 and other.state = 'active' and other.policy = 'stately'
        and coalesce(other.singleton_key, '') = coalesce(job.singleton_key, '')
    )
    returning id`
  // Of two at once, the unique index refuses the second, which then sees the first.
  const { rows } = await insist(() => boss.getDb().executeSql(text, [name, id, retryCount]))
  return rows.length > 0
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
