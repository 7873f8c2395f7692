import { setTimeout as sleep } from 'node:timers/promises'
import { createLedger, type Ledger, OperationError, OpsLedgerError } from '@opsledger/core'
import { createGuard } from '@opsledger/dedupe'
import { nanos, openJournal, randomFrom, seedOf } from '@opsledger/testing'
import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import type { Answer, Ending, Mark } from './journal.ts'
import type { FromWorker, Job, Then, ToWorker, WorkerSettings } from './messages.ts'
import { SECRET, UNTOLD_SECRETS } from './secret.ts'

/** A process that falls by itself says why on its way down. */
const EXIT_FELL = 70

class ProviderFailure extends Error {}

const {
  'the token of a header': token,
  'the value of a key': key,
  'the password of a URL': password,
} = UNTOLD_SECRETS
/** What a provider says, with secrets in it: the one that the library knows of, and those that their place gives away. */
const BUSY = `https://robot:${password}@provider.example/v1 is busy, ${SECRET}; Authorization: Bearer ${token}`
const REFUSED = `The provider refuses (${SECRET}); api_key=${key}`

/** Takes jobs from its parent, executes them through the library, and keeps the journal. */
export async function work(settings: WorkerSettings): Promise<void> {
  const journal = openJournal<Mark>(settings.folder)
  const pid = process.pid
  const say = (message: FromWorker) => process.send!(message)
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
      journal.mark({ mark: 'fell', at: nanos(), pid, why: `${event}: ${why}` })
      process.exit(EXIT_FELL)
    })
  }

  const { ledger, close } = openLedger(settings)
  const guard = createGuard(ledger, { exclusion: settings.exclusion })

  const operationFor = (cooldownMs: number) =>
    ledger.operation({
      type: `chaos.${cooldownMs}`,
      guard,
      cooldownMs,
      scope: ({ job }: { job: Job; hand: number }) => ({ workspaceId: 'w1', tenantId: job.tenantId }),
      fingerprint: ({ job }) => job.work,
      handler: async ({ payload: { job, hand }, run, fence, signal, counts }) => {
        const { work: name, deliveryId } = job
        journal.mark({
          mark: 'started',
          at: nanos(),
          pid,
          work: name,
          fence,
          runId: run.id,
          attempt: run.attempt,
          deliveryId,
        })
        say({ kind: 'phase', phase: 'started', hand, fence })
        // Another number for each attempt, so that counts that were added up, or are another attempt's, show.
        const random = randomFrom(seedOf(`${deliveryId}#${fence}`))
        const processed = 1 + random.below(900)
        counts.itemSucceeded(processed)
        let ending: Ending = 'stopped'
        try {
          if (job.blockMs > 0) blockEventLoop(job.blockMs)
          if (job.handlerMs > 0) await sleep(job.handlerMs, undefined, { signal })
          signal.throwIfAborted()
          if (job.attempt <= job.failures) {
            ending = 'threw'
            throw new ProviderFailure(BUSY)
          }
          if (job.ending === 'fails') {
            ending = 'failed'
            throw new OperationError('provider.rejected', REFUSED, { permanent: true })
          }
          if (job.writesEffect) {
            journal.mark({ mark: 'settling', at: nanos(), pid, fence })
            await run.transaction(writeEffect(run.id, fence, processed), { settles: true })
          }
          ending = 'returned'
          return fence
        } finally {
          const all = { total: processed, processed, failed: 0 }
          journal.mark({ mark: 'ended', at: nanos(), pid, fence, ending, counts: all })
          say({ kind: 'phase', phase: 'settling', hand, fence })
        }
      },
    })
  const operations = new Map<number, ReturnType<typeof operationFor>>()

  const deliver = async (hand: number, job: Job): Promise<Then> => {
    let operation = operations.get(job.cooldownMs)
    if (operation === undefined) {
      operation = operationFor(job.cooldownMs)
      operations.set(job.cooldownMs, operation)
    }
    const askedAt = nanos()
    say({ kind: 'phase', phase: 'asked', hand, fence: null })
    let answer: Answer
    let then: Then = { kind: 'complete' }
    try {
      const { deliveryId: id, attempt, maxAttempts } = job
      const conclusion = await operation.conclude({ job, hand }, { id, attempt, maxAttempts })
      if (conclusion.executed) {
        const { settlement, threw, run } = conclusion
        const isHandedBack = threw && conclusion.isHandedBack
        answer = { kind: 'executed', fence: run.fence!, settlement, isHandedBack }
        const isOver = run.status === 'completed' && !isHandedBack
        // As a queue sees it: what returned is done, what was permanent is done, the rest comes again.
        if (isHandedBack) then = { kind: 'delay', retryAfterMs: 0 }
        else if (threw && !isOver) then = { kind: 'retry' }
      } else {
        const { reason, action, holder, run, retryAfterMs } = conclusion
        answer = { kind: 'skipped', reason, action, holder, runId: run?.id ?? null }
        if (action === 'retry_later') then = { kind: 'delay', retryAfterMs }
      }
    } catch (error) {
      const code = error instanceof OpsLedgerError ? error.code : 'other'
      answer = { kind: 'unavailable', code, sqlState: sqlStateOf(error), message: String(error) }
      then = { kind: 'delay', retryAfterMs: 100 }
    }
    journal.mark({
      mark: 'answered',
      at: nanos(),
      pid,
      askedAt,
      work: job.work,
      deliveryId: job.deliveryId,
      answer,
    })
    say({ kind: 'phase', phase: 'answered', hand, fence: null })
    return then
  }

  process.on('message', (message: ToWorker) => {
    if ('close' in message) {
      close().then(() => process.disconnect!())
      return
    }
    const { hand, job } = message
    deliver(hand, job).then((then) => say({ kind: 'concluded', hand, then }))
  })
  await ledger.ready()
  say({ kind: 'ready' })
}

function openLedger(settings: WorkerSettings): { ledger: Ledger; close(): Promise<void> } {
  const { url, leaseMs, connections, admissionTimeoutMs, settlementTimeoutMs } = settings
  const common = { leaseMs, admissionTimeoutMs, settlementTimeoutMs, secrets: [SECRET] }
  if (!settings.throughKysely) {
    const ledger = createLedger({ connection: url, connections, ...common })
    return { ledger, close: () => ledger.close() }
  }
  const pool = new pg.Pool({ connectionString: url, max: connections })
  // What a careful host does; a checked-out client has a listener of its own only while the library uses it.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const kysely = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const ledger = createLedger({ kysely, ...common })
  return {
    ledger,
    close: async () => {
      await ledger.close()
      await kysely.destroy()
    },
  }
}

/** Of the error itself or of what caused it; null when no server said one. */
function sqlStateOf(error: unknown): string | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof pg.DatabaseError) return cause.code ?? null
  }
  return null
}

/** A row in the host's own table: see `exactly-once-effects`. */
function writeEffect(runId: string, fence: number, amount: number) {
  return async (trx: Transaction<{ effect: { run_id: string; fence: number; amount: number } }>) => {
    await trx.insertInto('effect').values({ run_id: runId, fence, amount }).execute()
  }
}

function blockEventLoop(forMs: number): void {
  const until = performance.now() + forMs
  while (performance.now() < until) {
    // nothing else runs in this process
  }
}
