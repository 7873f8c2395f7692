import type { TransactionUnconfirmedError } from '../errors.ts'
import type { Claim, Guard, SettlementReply } from '../guard/guard.ts'
import type { CountBook } from '../run/counts.ts'
import type { Settlement } from '../run/settlement.ts'

/** A settlement that was committed with the host's own writes. */
export interface CommittedSettlement {
  readonly settlement: Settlement
  readonly reply: SettlementReply
}

/** An attempt that this process is executing. */
export interface Execution {
  readonly claim: Claim
  readonly guard: Guard
  readonly book: CountBook
  readonly signal: AbortSignal
  /** The first reason stays. */
  abort(reason: unknown): void
  /** The settlement that was committed with the host's writes, if there is one. */
  readonly committed: CommittedSettlement | null
  /** A settling transaction of the host's whose commit nobody could confirm: what it would have written. */
  unconfirmed: { readonly settlement: Settlement; readonly error: TransactionUnconfirmedError } | null
  /** Nothing more is written by this attempt: it is being settled, or was, together with the host's writes. */
  readonly isOver: boolean
  /** The host's transactions that have asked for the fence and may be committed: how the attempt ended depends on them. */
  readonly commits: Set<Promise<unknown>>
  /** Closes its counts: from now on nothing of it can be counted or committed. */
  end(committed?: CommittedSettlement): void
  /** The claim is known to be taken: nothing this attempt writes will count. */
  isLost: boolean
}

/** What this process executes now, by fence. */
export interface Executions {
  readonly size: number
  add(claim: Claim, guard: Guard, book: CountBook): Execution
  remove(execution: Execution): void
  all(): Execution[]
  /** Resolves when nothing executes, or after `withinMs`; answers with what still does. */
  drained(withinMs: number): Promise<Execution[]>
}

export function createExecutions(): Executions {
  const byFence = new Map<number, Execution>()
  let onDrained: (() => void)[] = []

  return {
    get size() {
      return byFence.size
    },
    add(claim, guard, book) {
      const controller = new AbortController()
      const execution: Execution = {
        claim,
        guard,
        book,
        signal: controller.signal,
        abort: (reason) => controller.abort(reason),
        committed: null,
        unconfirmed: null,
        isOver: false,
        commits: new Set(),
        end(committed) {
          book.close()
          Object.assign(execution, { isOver: true, committed: committed ?? execution.committed })
        },
        isLost: false,
      }
      byFence.set(claim.fence, execution)
      return execution
    },
    remove(execution) {
      byFence.delete(execution.claim.fence)
      if (byFence.size > 0) return
      for (const resolve of onDrained) resolve()
      onDrained = []
    },
    all: () => [...byFence.values()],
    async drained(withinMs) {
      if (byFence.size === 0) return []
      let timer: NodeJS.Timeout | undefined
      await Promise.race([
        new Promise<void>((resolve) => onDrained.push(resolve)),
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, withinMs)
        }),
      ])
      clearTimeout(timer)
      return [...byFence.values()]
    },
  }
}
