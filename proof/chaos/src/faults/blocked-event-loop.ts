import { setTimeout as sleep } from 'node:timers/promises'
import { CHAOS_LEASE_MS } from '../arena/arena.ts'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Job } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import { answersOf } from '../oracle/sections.ts'

const WORKERS = 4
/** Blocks per database: the queue runs empty and the judge looks before the next. */
const BLOCKS_PER_ROUND = 50
/** Handlers that block at about the same time, each its own process where the queue so decides. */
const AT_ONCE = 2
/** How much longer than the lease a handler keeps its event loop to itself, in ms. */
const BEYOND_LEASE_MS = { from: 100, to: 1_000 }
/** What shares the blocked process: other works, in their handlers or on their way in or out. */
const BYSTANDERS = 12
/** A long one stays under way while its process is blocked, and afterwards. */
const BYSTANDER_MS = { short: 100, long: 4_000 }

/** Synchronous work past the lease: no timer, no renewal and no signal of that process comes through. */
export const blockedEventLoop: Fault = {
  name: 'blocked-event-loop',
  title: 'an event loop is blocked past the lease, session mode',
  injections: { short: 6, long: 100 },
  async run(trial) {
    const rulings = []
    const complaints: string[] = []
    let blocks = 0
    let bystanders = 0
    for (let round = 0; blocks < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      const wanted = Math.min(BLOCKS_PER_ROUND, trial.injections - blocks)
      await using arena = await trial.openArena()
      const { queue, crew } = arena
      await Promise.all(Array.from({ length: WORKERS }, () => arena.hire()))
      const jobs: Job[] = []
      for (let done = 0; done < wanted; done += AT_ONCE) {
        const name = `b${round}/${done}`
        const beyondMs = BEYOND_LEASE_MS.from + random.next() * (BEYOND_LEASE_MS.to - BEYOND_LEASE_MS.from)
        const blockMs = Math.round(CHAOS_LEASE_MS + beyondMs)
        const blocking = makeJobs(random, {
          name: `${name}/blocks`,
          works: Math.min(AT_ONCE, wanted - done),
          duplicatesInTen: 10,
          handlerMs: 20,
          blockMs,
          failures: false,
          // A second dispatch that is not refused would block once more.
        }).map((job) => ({ ...job, cooldownMs: BLOCKED_COOLDOWN_MS }))
        const others = [
          ...makeJobs(random, {
            name: `${name}/long`,
            works: 2,
            handlerMs: BYSTANDER_MS.long,
            failures: false,
          }),
          ...makeJobs(random, { name, works: BYSTANDERS, handlerMs: BYSTANDER_MS.short }),
        ]
        jobs.push(...blocking, ...others)
        queue.add(others)
        await Promise.race([random.pick(crew.workers).nextPhase('started'), sleep(2_000)])
        // Together with others, so that admissions are in flight when the loop stops turning.
        const along = makeJobs(random, {
          name: `${name}/along`,
          works: BYSTANDERS,
          handlerMs: BYSTANDER_MS.short,
        })
        jobs.push(...along)
        queue.add([...along.slice(0, BYSTANDERS / 2), ...blocking, ...along.slice(BYSTANDERS / 2)])
        // Whatever executes now is delivered once more: the others ask for it while its process is blocked.
        for (const worker of crew.workers) {
          for (const [hand, { phase }] of [...worker.hands]) if (phase === 'started') queue.redeliver(hand)
        }
        await queue.below(3 * AT_ONCE)
      }
      const evidence = await arena.finish()
      const ruling = trial.judge(evidence, { cooldownMs: cooldownOf(jobs), expectedCodes: [] })
      rulings.push(ruling)
      const blocking = new Set(jobs.filter((job) => job.blockMs > 0).map((job) => job.work))
      const settlements = new Map(
        answersOf(evidence.marks).flatMap(({ answer }) =>
          answer.kind === 'executed' ? [[answer.fence, answer.settlement] as const] : [],
        ),
      )
      const blocked = ruling.sections.filter((section) => blocking.has(section.work))
      blocks += blocked.length
      for (const section of ruling.sections) {
        const { work, ending, fence } = section
        const settlement = settlements.get(fence)
        if (ending === 'stopped') complaints.push(`the handler of ${work} was stopped in a blocked process`)
        else if (settlement !== 'settled' && settlement !== 'already_settled') {
          complaints.push(`the attempt of ${work} ended, and was answered ${settlement}`)
        }
        const isBystander = blocked.some(
          (one) =>
            one.pid === section.pid &&
            one.fence !== fence &&
            section.startedAt < one.startedAt &&
            section.endedAt! > one.startedAt,
        )
        if (isBystander) bystanders++
      }
      trial.say(
        `${blocks} blocks, ${rulings.reduce((sum, { sections }) => sum + sections.length, 0)} sections`,
      )
    }
    const figures = { 'other handlers under way in the blocked process': bystanders }
    return { injections: blocks, rulings, figures, complaints }
  },
}

const BLOCKED_COOLDOWN_MS = 60_000
