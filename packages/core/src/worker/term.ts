import { hostname } from 'node:os'
import { v7 } from 'uuid'
import { isConnectionError } from '../database/database-error.ts'
import type { Executor } from '../database/executor.ts'
import { pause, retrying } from '../database/retry.ts'
import { ClaimLostError, DatabaseUnavailableError, LedgerClosedError } from '../errors.ts'
import { publish } from '../events.ts'
import type { Guard } from '../guard/guard.ts'
import type { Execution, Executions } from './executions.ts'

/** Longer than a slow commit or a failover, shorter than a queue's own redelivery. */
export const DEFAULT_LEASE_MS = 15_000
/** Shorter leases than this are lost to an ordinary pause of the garbage collector. */
export const MIN_LEASE_MS = 500
export const MAX_LEASE_MS = 600_000

/**
 * Renewals per lease. What a handler outlives of a database that is away is the lease without the deadline's margin and
 * without the age of the last renewal: with five, 63 % of the lease at worst; three were 50 %. Each is one small write.
 */
const RENEWALS_PER_LEASE = 5
/** As a share of the lease: a reply that takes longer leaves time for another try before the deadline. */
const CALL_TIMEOUT = 1 / 3
/** Before the lease runs out: time for handlers to hear their signal. As a share of the lease. */
const DEADLINE_MARGIN = 1 / 6

/**
 * A worker process's term: one lease row, renewed whatever the process runs. Until the local deadline nobody can have
 * retired it: that counts from before the renewal was sent, on the monotonic clock, and ends before the lease.
 */
export interface Term {
  /** The worker id; registers the term at the first call. */
  id(): Promise<string>
  /**
   * Renews now, or moves what is executing to a new term; resolves when the term is live again.
   * @throws DatabaseUnavailableError when the database stayed away for `withinMs`
   */
  verify(withinMs: number): Promise<void>
  /** Whether an execution which is about to begin stands on a live term, as far as this process knows. */
  covers(execution: Execution): boolean
  /**
   * Makes sure that an execution which is about to begin stands on a live term: its admission may have taken longer
   * than the lease, or been made under a term that is retired by now. Aborts it when it was taken.
   * @throws DatabaseUnavailableError when that could not be learned for `withinMs`
   */
  secure(execution: Execution, withinMs: number): Promise<void>
  /** Asks the database whether what is executing is still its own; what is not is aborted. */
  reconfirm(): Promise<void>
  close(): Promise<void>
}

export function createTerm(
  schema: string,
  executor: Executor,
  executions: Executions,
  leaseMs: number,
): Term {
  const callTimeoutMs = Math.max(250, Math.round(leaseMs * CALL_TIMEOUT))
  const everyMs = leaseMs / RENEWALS_PER_LEASE
  const soonMs = Math.max(50, leaseMs / 30)
  let currentId: string | null = null
  let deadlineAt = 0
  let isClosed = false
  let registering: Promise<string> | null = null
  let renewing: Promise<void> | null = null
  let lastFailure: unknown = null
  /** What stands under an older term, or may: its rows were somebody's when it was to move. */
  const unadopted = new Set<Execution>()
  let renewalTimer: NodeJS.Timeout | undefined
  let deadlineTimer: NodeJS.Timeout | undefined

  const extend = (sentAt: number) => {
    deadlineAt = sentAt + leaseMs * (1 - DEADLINE_MARGIN)
    lastFailure = null
    clearTimeout(deadlineTimer)
    deadlineTimer = setTimeout(onDeadline, Math.max(0, deadlineAt - performance.now()), deadlineAt).unref()
  }

  const register = async (): Promise<string> => {
    const previousWorkerId = currentId
    const id = v7()
    const sentAt = performance.now()
    await executor.call('register_term', [id, hostname(), process.pid, leaseMs], callTimeoutMs)
    currentId = id
    extend(sentAt)
    publish('opsledger:term.registered', { schema, workerId: id, previousWorkerId })
    for (const execution of executions.all()) unadopted.add(execution)
    await finishAdoption()
    return id
  }

  /** An adoption that failed halfway, or met rows that somebody had, is done again with a renewal, soon. */
  const finishAdoption = async () => {
    const alive = new Set(executions.all())
    for (const execution of unadopted) if (!alive.has(execution)) unadopted.delete(execution)
    if (unadopted.size === 0) return
    await adopt([...unadopted])
    if (unadopted.size > 0) renewSoon()
  }

  /** Those that could not be asked about just now are to be asked about again. */
  const adopt = async (moved: readonly Execution[]): Promise<void> => {
    const workerId = currentId!
    const byGuard = Map.groupBy(moved, (execution) => execution.guard)
    for (const [guard, group] of byGuard as Map<Guard, Execution[]>) {
      const { kept, busy } = await guard.adopt(
        group.map((execution) => execution.claim),
        workerId,
      )
      for (const execution of group) {
        const { fence } = execution.claim
        // A newer term may have moved them while this one's answer was on its way, or still has to.
        if (busy.has(fence) || workerId !== currentId) unadopted.add(execution)
        else unadopted.delete(execution)
        if (!busy.has(fence) && !kept.has(fence))
          lose(execution, 'another worker took it after the lease had run out.')
      }
    }
  }

  const lose = (execution: Execution, why: string) => {
    execution.isLost = true
    abort(execution, why)
  }

  const abort = (execution: Execution, why: string) => {
    // What is over has been written, or is being written: a claim that it no longer holds is no loss.
    if (execution.signal.aborted || execution.isOver) return
    const { runId, fence } = execution.claim
    publish('opsledger:run.aborted', { schema, runId, fence, code: 'claim_lost' })
    execution.abort(new ClaimLostError(runId, fence, why))
  }

  /** One renewal at a time; everybody who asks meanwhile gets its outcome. */
  const renew = (): Promise<void> => {
    renewing ??= (async () => {
      try {
        const sentAt = performance.now()
        if (await executor.call('renew_term', [currentId, leaseMs], callTimeoutMs)) {
          extend(sentAt)
          await finishAdoption()
        } else {
          publish('opsledger:term.lost', {
            schema,
            workerId: currentId!,
            why: 'its lease ran out and was retired',
          })
          await register()
        }
      } catch (error) {
        lastFailure = error
        throw error
      } finally {
        renewing = null
      }
    })()
    return renewing
  }

  const keepRenewing = () => {
    clearTimeout(renewalTimer)
    renewalTimer = setTimeout(
      async () => {
        await renew().catch(() => {})
        if (!isClosed) keepRenewing()
      },
      lastFailure === null && unadopted.size === 0 ? everyMs : soonMs,
    ).unref()
  }
  /** Also where somebody else than the timer has asked. */
  const renewSoon = () => {
    if (!isClosed && currentId !== null) keepRenewing()
  }

  /**
   * The lease is about to run out. A process that tried to renew and failed aborts what it executes. One that had no
   * chance to try, because its event loop was blocked, looks first: its lock may have kept everybody away.
   */
  const onDeadline = async (expectedAt: number) => {
    if (isClosed || expectedAt !== deadlineAt || executions.size === 0) return
    const couldNotTry = lastFailure === null
    if (couldNotTry) {
      // Before the lease runs out, not later; once it has, a second more changes nothing.
      const leftMs = expectedAt + leaseMs * DEADLINE_MARGIN - performance.now()
      const lookFor = Math.min(1_000, leftMs > 0 ? leftMs / 2 : leaseMs / 5)
      const isVerified = await Promise.race([
        renew().then(
          () => true,
          () => false,
        ),
        pause(lookFor).then(() => false),
      ])
      if (isVerified || expectedAt !== deadlineAt) return
    }
    publish('opsledger:term.lost', {
      schema,
      workerId: currentId!,
      why: 'the database could not be reached in time',
    })
    for (const execution of executions.all()) {
      abort(execution, 'the database could not be reached before the lease ran out.')
    }
  }

  const covers = ({ claim }: Execution) => performance.now() < deadlineAt && claim.workerId === currentId

  return {
    async id() {
      if (isClosed) throw new LedgerClosedError()
      if (currentId !== null) return currentId
      registering ??= register()
        .then((id) => {
          keepRenewing()
          return id
        })
        .finally(() => {
          registering = null
        })
      return registering
    },
    verify: (withinMs) => retrying(renew, withinMs, () => isClosed),
    covers,
    async secure(execution, withinMs) {
      if (covers(execution)) return
      const giveUpAt = performance.now() + withinMs
      await retrying(
        async () => {
          if (performance.now() >= deadlineAt) await renew()
          if (execution.claim.workerId === currentId) return
          for (;;) {
            await adopt([execution])
            if (!unadopted.has(execution)) return
            if (performance.now() > giveUpAt)
              throw new DatabaseUnavailableError('The claim was busy for too long.')
            await pause(soonMs)
          }
        },
        withinMs,
        () => isClosed,
      )
    },
    async reconfirm() {
      if (currentId === null || executions.size === 0) return
      await adopt(executions.all())
      if (unadopted.size > 0) renewSoon()
    },
    async close() {
      isClosed = true
      clearTimeout(renewalTimer)
      clearTimeout(deadlineTimer)
      await renewing?.catch(() => {})
      if (currentId === null) return
      try {
        await executor.call('retire_own_term', [currentId], callTimeoutMs)
      } catch (error) {
        if (!isConnectionError(error)) throw error
      }
    },
  }
}
