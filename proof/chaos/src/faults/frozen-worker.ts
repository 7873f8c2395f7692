import { setTimeout as sleep } from 'node:timers/promises'
import type { ExclusionMode } from '@opsledger/dedupe'
import type { Random } from '@opsledger/testing'
import type pg from 'pg'
import { type Arena, CHAOS_LEASE_MS } from '../arena/arena.ts'
import type { Interruption, Worker } from '../arena/crew.ts'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import { leasesTakenTooEarly, leasesTooShort } from '../arena/leases.ts'
import type { Job, Phase } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import { overlapsOfFrozen } from '../oracle/frozen.ts'
import type { Ruling } from '../oracle/judge.ts'
import type { Section } from '../oracle/sections.ts'

/** Of each mode: all that share the work, and those that are frozen at the same time. */
const WORKERS = 3
const FROZEN_AT_ONCE = 2
/** Freezes per database: the queue runs empty and the judge looks before the next. */
const FREEZES_PER_ROUND = 60
/** Works per freeze, of which some have handlers that are still under way when their worker wakes up. */
const WORKS = { short: 10, long: 2 }
const HANDLER_MS = { short: 200, long: 4_500 }
/** What is frozen beyond its lease is frozen for up to this much longer, in ms. */
const MAX_BEYOND_LEASE_MS = 1_000
/** Most wake up just when their lease has run out, in ms: when others are about to retire it. */
const MAX_AFTER_EXPIRY_MS = 60
/** SIGSTOP until the lease is over, then SIGCONT: the worker goes on as if nothing had happened. */
export const frozenWorker: Fault = {
  name: 'frozen-worker',
  title: 'a worker is frozen past its lease (SIGSTOP, SIGCONT), session and lease mode',
  injections: { short: 8, long: 600 },
  async run(trial) {
    const rulings: Ruling[] = []
    const complaints: string[] = []
    const frozen: Record<ExclusionMode, number> = { session: 0, lease: 0 }
    const stops: number[] = []
    const lateWrites: Record<ExclusionMode, number> = { session: 0, lease: 0 }
    let exempted = 0
    for (let round = 0; frozen.session + frozen.lease < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      const wanted = Math.min(FREEZES_PER_ROUND, trial.injections - frozen.session - frozen.lease)
      await using arena = await trial.openArena()
      const hired = MODES.flatMap((exclusion) => Array<ExclusionMode>(WORKERS).fill(exclusion))
      await Promise.all(hired.map((exclusion) => arena.hire({ exclusion })))
      const jobs: Job[] = []
      for (let done = 0; done < wanted; done += 2 * FROZEN_AT_ONCE) {
        const added = makeWave(random, `${round}/${done}`)
        jobs.push(...added)
        arena.queue.add(added)
        await Promise.all(
          MODES.map(async (exclusion) => {
            const past = await freezeSome(arena, random, exclusion)
            frozen[exclusion] += past
          }),
        )
      }
      await arena.queue.below(1)
      complaints.push(...(await leasesTakenTooEarly(arena.pool)))
      complaints.push(...(await leasesTooShort(arena.pool, CHAOS_LEASE_MS)))
      const evidence = await arena.finish()
      const { crew, modes } = evidence
      const ofLeaseMode = crew.interruptions.filter(({ pid }) => modes.get(pid) === 'lease')
      const ruling = trial.judge(evidence, {
        cooldownMs: cooldownOf(jobs),
        isExempt: overlapsOfFrozen(evidence, CHAOS_LEASE_MS),
      })
      rulings.push(ruling)
      exempted += ruling.exempted.length
      for (const late of lateWritesIn(ruling)) {
        lateWrites[modes.get(late.pid)!]++
        if (!late.isRefused)
          complaints.push(`the late write of fence ${late.fence} was answered ${late.answer}`)
      }
      stops.push(...stopsIn(ruling, ofLeaseMode))
      const sections = rulings.reduce((sum, one) => sum + one.sections.length, 0)
      trial.say(`${frozen.session + frozen.lease} freezes, ${sections} sections`)
    }
    if (lateWrites.session + lateWrites.lease === 0)
      complaints.push('no frozen worker came back with a late write: nothing was shown')
    const figures = {
      'freezes in session mode': frozen.session,
      'freezes in lease mode': frozen.lease,
      'late writes in session mode': lateWrites.session,
      'late writes in lease mode': lateWrites.lease,
      'overlaps in lease mode, left out of the promise': exempted,
      'lease mode, from waking up to the end of what was taken meanwhile, longest in ms': Math.round(
        Math.max(0, ...stops),
      ),
    }
    return { injections: frozen.session + frozen.lease, rulings, figures, complaints }
  },
}

const MODES: readonly ExclusionMode[] = ['session', 'lease']

function makeWave(random: Random, name: string): Job[] {
  const freezes = MODES.length * FROZEN_AT_ONCE
  const long = { works: WORKS.long * freezes, handlerMs: HANDLER_MS.long, failures: false }
  return [
    ...makeJobs(random, { name: `${name}/long`, ...long }),
    ...makeJobs(random, { name, works: WORKS.short * freezes, handlerMs: HANDLER_MS.short }),
  ]
}

/** Answers with how many were frozen past a lease: one that had none is thawed at once. */
async function freezeSome(arena: Arena, random: Random, exclusion: ExclusionMode): Promise<number> {
  const awake = arena.crew.workers.filter(({ settings }) => settings.exclusion === exclusion)
  const plans = Array.from({ length: FROZEN_AT_ONCE }, () => ({
    victim: awake.splice(random.below(awake.length), 1)[0]!,
    phase: random.pick<Phase>(['asked', 'started', 'started', 'settling', 'answered']),
    wakesAtExpiry: random.below(3) > 0,
    afterMs: random.next(),
  }))
  const past = await Promise.all(
    plans.map(({ victim, phase, wakesAtExpiry, afterMs }) =>
      freeze(arena, victim, phase, async () => {
        if (!wakesAtExpiry) {
          await sleep(CHAOS_LEASE_MS + afterMs * MAX_BEYOND_LEASE_MS)
          return true
        }
        const hadLease = await leaseOver(arena.pool, victim.process.pid)
        await sleep(afterMs * MAX_AFTER_EXPIRY_MS)
        return hadLease
      }),
    ),
  )
  return past.filter(Boolean).length
}

/** Frozen at this phase, until the pause is over; with what that answers. */
async function freeze({ queue }: Arena, victim: Worker, phase: Phase, pause: () => Promise<boolean>) {
  await Promise.race([victim.nextPhase(phase), sleep(2_000)])
  // A worker that is frozen takes nothing from its queue, which thinks its jobs stalled and delivers them again.
  queue.detach(victim)
  victim.freeze()
  for (const hand of victim.hands.keys()) queue.redeliver(hand)
  const isPast = await pause()
  victim.thaw()
  queue.attach(victim)
  return isPast
}

/** Whether there was one. */
async function leaseOver(pool: pg.Pool, pid: number): Promise<boolean> {
  for (let hadLease = false; ; hadLease = true) {
    const { rowCount } = await pool.query(
      'select from opsledger.worker_lease where pid = $1 and retired_at is null and expires_at > clock_timestamp()',
      [pid],
    )
    if (rowCount === 0) return hadLease
    await sleep(5)
  }
}

/** How long after it woke up a worker of lease mode let go of what had been taken from it meanwhile, in ms. */
function stopsIn({ sections }: Ruling, interruptions: readonly Interruption[]): number[] {
  return lateIn(sections).flatMap(({ pid, endedAt }) => {
    const last = interruptions.findLast(
      (one) => one.pid === pid && one.until !== null && one.until < endedAt!,
    )
    return last === undefined ? [] : [Number(endedAt! - last.until!) / 1_000_000]
  })
}

/** Attempts that were still under way when the next attempt of the same work began: what they write comes too late. */
function lateIn(sections: readonly Section[]): Section[] {
  const byWork = Map.groupBy(sections, (section) => section.work)
  return sections.filter(
    ({ work, fence, endedAt }) =>
      endedAt !== null && byWork.get(work)!.some((other) => other.fence > fence && other.startedAt < endedAt),
  )
}

function lateWritesIn({ sections, answers }: Ruling) {
  const answerOf = new Map(
    answers.flatMap(({ answer }) => (answer.kind === 'executed' ? [[answer.fence, answer] as const] : [])),
  )
  return lateIn(sections).map(({ fence, pid }) => {
    const answer = answerOf.get(fence)
    const isRefused = answer?.settlement === 'superseded' || answer?.isHandedBack === true
    return { fence, pid, isRefused, answer: answer?.settlement ?? 'nothing' }
  })
}
