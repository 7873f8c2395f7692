import type { Transaction } from 'kysely'
import { isConnectionError } from '../database/database-error.ts'
import { pause, retrying } from '../database/retry.ts'
import {
  ClaimLostError,
  DatabaseUnavailableError,
  InvalidOptionError,
  TransactionUnconfirmedError,
} from '../errors.ts'
import { assertKnownOptions } from '../known-options.ts'
import type { Run } from '../run/run.ts'
import { settlementOfReturn } from '../run/settlement.ts'
import type { Runtime } from '../runtime.ts'
import type { CommittedSettlement, Execution } from '../worker/executions.ts'

export interface RunTransactionOptions {
  /**
   * Settles the run as the handler's return would, with the counts so far, as part of the same transaction: its effects
   * and its outcome are written together or not at all. Nothing can be counted or written by this attempt afterwards.
   * @default false
   */
  readonly settles?: boolean
}

/** The run of an attempt in execution, as its handler is given it. */
export interface RunningRun extends Run {
  /**
   * The host's own writes under the claim's fence: a READ COMMITTED transaction that commits only while this attempt
   * still has its claim, and is rolled back otherwise. It has connections of its own, up to `connections` of the
   * ledger, so that a slow one delays no renewal; with a host's Kysely instance it takes one of that pool.
   *
   * Locks, last before the commit, the claim's row and the run's. Resolves with what `work` returned once the commit
   * is known: one that is not answered within 8 s, or whose reply was lost, is looked up by its transaction id.
   *
   * @throws ClaimLostError when the claim is not its own any more, or the attempt is over: nothing was written
   * @throws the signal's reason when that aborts before the commit; what `work` throws, unchanged: nothing was written
   * @throws DatabaseUnavailableError when the connection was lost: nothing was written
   * @throws TransactionUnconfirmedError when it cannot be learned whether it was committed
   */
  // biome-ignore lint/suspicious/noExplicitAny: the host's own tables, whichever they are
  transaction<T, DB = any>(
    work: (trx: Transaction<DB>) => Promise<T>,
    options?: RunTransactionOptions,
  ): Promise<T>
}

export function createRunTransaction(
  runtime: Runtime,
  execution: Execution,
  cooldownMs: number,
): RunningRun['transaction'] {
  const { claim, guard, signal, book } = execution
  const { executor } = runtime
  const lost = (why: string) => new ClaimLostError(claim.runId, claim.fence, why)

  return async (work, options = {}) => {
    assertKnownOptions('transaction', options, ['settles'])
    if (typeof work !== 'function') throw new InvalidOptionError('work', work, 'a function')
    const settles = options.settles ?? false
    const assertCurrent = () => {
      signal.throwIfAborted()
      if (execution.isOver) throw lost('this attempt is over.')
    }
    assertCurrent()

    const cut = new AbortController()
    let transactionId: string | null = null
    const ended = Promise.withResolvers<void>()
    let value: Awaited<ReturnType<typeof work>> | undefined
    let settled: CommittedSettlement | null = null
    // Once it may be committed, only the database can say what became of it.
    const onAbort = () => {
      if (transactionId === null) cut.abort(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await executor.transaction(cut.signal, async (trx, call) => {
        value = await work(trx)
        assertCurrent()
        execution.commits.add(ended.promise)
        const lockedBy = await guard.lock(call, claim)
        if (lockedBy === null) throw lost('another attempt has it, or it was settled.')
        if (settles) {
          const settlement = settlementOfReturn(book)
          const reply = await guard.settleIn(call, claim, settlement, cooldownMs)
          if (reply.answer !== 'settled') throw lost('another attempt has it, or it was settled.')
          settled = { settlement, reply }
        }
        signal.throwIfAborted()
        transactionId = lockedBy
      })
    } catch (error) {
      if (transactionId === null || !isConnectionError(error)) throw error
      await assertCommitted(runtime, transactionId, error).catch((unconfirmed) => {
        if (unconfirmed instanceof TransactionUnconfirmedError && settled !== null) {
          execution.unconfirmed = { settlement: settled.settlement, error: unconfirmed }
        }
        throw unconfirmed
      })
    } finally {
      signal.removeEventListener('abort', onAbort)
      execution.commits.delete(ended.promise)
      ended.resolve()
    }
    if (settled !== null) execution.end(settled)
    return value as Awaited<ReturnType<typeof work>>
  }
}

/** Between two looks while the server still works on a commit, or has not noticed that its client is gone. */
const LOOK_EVERY_MS = 20

/** @throws DatabaseUnavailableError when it was rolled back, TransactionUnconfirmedError when nobody can say */
async function assertCommitted(runtime: Runtime, transactionId: string, cause: unknown): Promise<void> {
  const { executor, settlementTimeoutMs } = runtime
  const giveUpAt = performance.now() + settlementTimeoutMs
  let status: unknown
  do {
    const leftMs = Math.max(0, giveUpAt - performance.now())
    const look = () => executor.call('transaction_status', [transactionId])
    status = await retrying(look, leftMs).catch(() => null)
    if (status === 'in progress') await pause(LOOK_EVERY_MS)
  } while (status === 'in progress' && performance.now() < giveUpAt)
  if (status === 'committed') return
  if (status === 'aborted') {
    const message = `The connection was lost before transaction ${transactionId} was committed: it was rolled back.`
    throw new DatabaseUnavailableError(message, { cause })
  }
  throw new TransactionUnconfirmedError(transactionId, settlementTimeoutMs, { cause })
}

/** The run stays plain data: it can still be copied, compared and written as JSON. */
export function withTransaction(run: Run, transaction: RunningRun['transaction']): RunningRun {
  return Object.defineProperty({ ...run } as RunningRun, 'transaction', { value: transaction })
}
