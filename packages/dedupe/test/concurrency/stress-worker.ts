import { setTimeout as sleep } from 'node:timers/promises'
import { createLedger } from '@opsledger/core'
import { createGuard, type ExclusionMode } from '@opsledger/dedupe'
import { nanos, openJournal, randomFrom, seedOf } from '@opsledger/testing'
import type { Answer, Mark } from './journal.ts'

/** A queue worker in a process of its own: it is sent jobs, executes some at a time, and says which are done. */
export interface StressOptions {
  readonly url: string
  readonly folder: string
  readonly exclusion: ExclusionMode
  readonly leaseMs: number
  readonly concurrency: number
  /** Longest handler, in ms. */
  readonly handlerMs: number
}

export interface StressJob {
  readonly deliveryId: string
  readonly work: string
  /** 0 for never. */
  readonly cooldownMs: number
  /** How often it was handed out before, to workers that were killed. */
  readonly redeliveries: number
}

export type StressMessage =
  | { readonly ready: true }
  | { readonly done: string }
  | { readonly started: number }
  | { readonly ended: number }

const MAX_ATTEMPTS = 3
/** A queue waits as long as it is told; this one is impatient, so that a test ends. */
const MAX_WAIT_MS = 120

const options = JSON.parse(process.argv[2]!) as StressOptions
const journal = openJournal<Mark>(options.folder)
const ledger = createLedger({ connection: options.url, leaseMs: options.leaseMs })
const guard = createGuard(ledger, { exclusion: options.exclusion })
const say = (message: StressMessage) => process.send!(message)

class ProviderFailure extends Error {}

const operations = new Map<number, ReturnType<typeof stressOperation>>()

function stressOperation(cooldownMs: number) {
  return ledger.operation({
    type: `stress.${cooldownMs}`,
    guard,
    cooldownMs,
    scope: (job: StressJob) => ({ workspaceId: 'w1', tenantId: job.work.split(':')[0]! }),
    fingerprint: (job) => job.work,
    handler: async ({ payload, run, fence, signal, counts, delivery }) => {
      const { work, deliveryId } = payload
      journal.mark({
        mark: 'started',
        at: nanos(),
        pid: process.pid,
        work,
        fence,
        runId: run.id,
        attempt: run.attempt,
        deliveryId,
      })
      say({ started: fence })
      try {
        const random = randomFrom(seedOf(`${deliveryId}#${run.attempt}`))
        await sleep(random.next() * options.handlerMs, undefined, { signal })
        const items = random.below(5)
        if (items > 0) counts.itemSucceeded(items)
        if (random.next() < 0.1 && items > 0) counts.itemFailed('provider.rejected')
        if (delivery.attempt < MAX_ATTEMPTS && random.next() < 0.25) throw new ProviderFailure('try again')
        return fence
      } finally {
        journal.mark({ mark: 'ended', at: nanos(), fence })
        say({ ended: fence })
      }
    },
  })
}

async function deliver(job: StressJob): Promise<void> {
  const { deliveryId, work, cooldownMs } = job
  let operation = operations.get(cooldownMs)
  if (operation === undefined) {
    operation = stressOperation(cooldownMs)
    operations.set(cooldownMs, operation)
  }
  for (let attempt = Math.min(MAX_ATTEMPTS, 1 + job.redeliveries); ; ) {
    const askedAt = nanos()
    let answer: Answer
    let waitMs = 0
    try {
      const verdict = await operation(job, { id: deliveryId, attempt, maxAttempts: MAX_ATTEMPTS })
      if (verdict.executed) {
        answer = { kind: 'executed', fence: verdict.value, settlement: verdict.settlement }
      } else {
        const { reason, action, holder, run } = verdict
        answer = { kind: 'skipped', reason, action, holder, runId: run?.id ?? null }
        waitMs = Math.min(verdict.retryAfterMs, MAX_WAIT_MS)
      }
    } catch (error) {
      const isOwn = error instanceof ProviderFailure || (error as Error).name === 'AbortError'
      answer = isOwn ? { kind: 'threw' } : { kind: 'error', message: String(error) }
      attempt = Math.min(MAX_ATTEMPTS, attempt + (error instanceof ProviderFailure ? 1 : 0))
    }
    journal.mark({ mark: 'answered', at: nanos(), askedAt, pid: process.pid, work, deliveryId, answer })
    if (answer.kind === 'executed' || (answer.kind === 'skipped' && answer.action === 'discard')) return
    if (waitMs > 0) await sleep(waitMs * (0.5 + Math.random() / 2))
  }
}

const waiting: StressJob[] = []
let running = 0

function pump(): void {
  while (running < options.concurrency && waiting.length > 0) {
    const job = waiting.shift()!
    running++
    deliver(job).then(() => {
      running--
      say({ done: job.deliveryId })
      pump()
    })
  }
}

process.on('message', (message: { jobs: readonly StressJob[] } | { end: true }) => {
  if ('jobs' in message) {
    waiting.push(...message.jobs)
    pump()
    return
  }
  ledger.close().then(() => process.disconnect!())
})
await ledger.ready()
say({ ready: true })
