import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExclusionMode } from '@opsledger/dedupe'
import { type Nanos, nanos, randomFrom, readJournal, type WorkerProcess } from '@opsledger/testing'
import { startWorker } from '@opsledger/testing/vitest'
import { onTestFinished } from 'vitest'
import type { Mark } from './journal.ts'
import type { StressJob, StressMessage, StressOptions } from './stress-worker.ts'

export interface StressPlan {
  /** Part of every id: two plans in one database have nothing in common. */
  readonly name: string
  readonly url: string
  readonly modes: readonly ExclusionMode[]
  readonly seed: number
  readonly works: number
  readonly deliveries: number
  /** Every other work gets this cooldown, the rest none. */
  readonly cooldownMs: number
  readonly leaseMs?: number
  readonly concurrency?: number
  readonly handlerMs?: number
  /** Workers killed in mid-work, each replaced by a new one that gets what was not done. */
  readonly kills?: number
}

export interface StressReport {
  readonly marks: readonly Mark[]
  /** By process id: when the signal was about to be sent. */
  readonly killedAt: ReadonlyMap<number, Nanos>
  readonly jobs: readonly StressJob[]
}

interface Hand {
  readonly worker: WorkerProcess
  readonly mode: ExclusionMode
  readonly undone: Map<string, StressJob>
  /** Fences of the handlers that run there, as far as it has told. */
  readonly executing: Set<number>
  /** Resolves when its last message has been read. */
  readonly heard: Promise<void>
}

/** Hands out all deliveries to a process per mode, at once, and ends when each is done. */
export async function stress(plan: StressPlan): Promise<StressReport> {
  const { seed, works, deliveries, modes, kills = 0 } = plan
  const folder = mkdtempSync(join(tmpdir(), 'opsledger-journal-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const random = randomFrom(seed)
  const jobs = Array.from({ length: deliveries }, (_, n): StressJob => {
    const work = random.below(works)
    return {
      deliveryId: `${plan.name}/${n}`,
      work: `t${work % 7}:${plan.name}/${work}`,
      cooldownMs: work % 2 === 0 ? 0 : plan.cooldownMs,
      redeliveries: 0,
    }
  })
  const killedAt = new Map<number, Nanos>()
  let done = 0
  let news = Promise.withResolvers<void>()
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await Promise.race([news.promise, failed.promise])
  }

  const hire = async (mode: ExclusionMode, given: readonly StressJob[]): Promise<Hand> => {
    const options: StressOptions = {
      url: plan.url,
      folder,
      exclusion: mode,
      leaseMs: plan.leaseMs ?? 15_000,
      concurrency: plan.concurrency ?? 40,
      handlerMs: plan.handlerMs ?? 15,
    }
    const worker = startWorker(new URL('./stress-worker.ts', import.meta.url), {
      args: [JSON.stringify(options)],
    })
    await worker.next<StressMessage>((message) => 'ready' in message)
    const undone = new Map(given.map((job) => [job.deliveryId, job]))
    const executing = new Set<number>()
    const listen = async () => {
      for await (const message of worker.messages<StressMessage>()) {
        if ('started' in message) executing.add(message.started)
        if ('ended' in message) executing.delete(message.ended)
        if ('done' in message && undone.delete(message.done)) done++
        news.resolve()
        news = Promise.withResolvers()
      }
    }
    const heard = listen()
    worker.exited.then(({ code, signal }) => {
      if (signal === null && code !== 0)
        failed.reject(new Error(`A worker ended with ${code}: ${worker.stderr}`))
    })
    return { worker, mode, undone, executing, heard }
  }

  const hands = await Promise.all(
    modes.map((mode, at) =>
      hire(
        mode,
        jobs.filter((_, n) => n % modes.length === at),
      ),
    ),
  )
  for (const hand of hands) hand.worker.send({ jobs: [...hand.undone.values()] })

  for (let kill = 1; kill <= kills; kill++) {
    const atWork = () => hands.filter((hand) => hand.executing.size > 0)
    await until(() => done >= (kill * deliveries) / (kills + 2) && atWork().length > 0)
    const victim = random.pick(atWork())
    killedAt.set(victim.worker.pid, nanos())
    await victim.worker.kill()
    await victim.heard
    const again = [...victim.undone.values()].map((job) => ({ ...job, redeliveries: job.redeliveries + 1 }))
    const successor = await hire(victim.mode, again)
    hands[hands.indexOf(victim)] = successor
    successor.worker.send({ jobs: again })
  }
  await until(() => done >= deliveries)
  for (const { worker } of hands) worker.send({ end: true })
  await Promise.race([Promise.all(hands.map(({ worker }) => worker.exited)), failed.promise])
  return { marks: readJournal<Mark>(folder), killedAt, jobs }
}
