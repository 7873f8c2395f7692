import { setTimeout as sleep } from 'node:timers/promises'
import { type Nanos, nanos } from '@opsledger/testing'
import type pg from 'pg'
import { CHAOS_LEASE_MS } from '../arena/arena.ts'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Job } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import type { Section } from '../oracle/sections.ts'

const WORKERS = 4
/** Restarts per database: the queue runs empty and the judge looks before the next. */
const RESTARTS_PER_ROUND = 50
/** From one restart to the next, in ms. */
const EVERY_MS = { from: 2_000, to: 5_000 }
/** Handlers that last longer than the pause before the next restart, by this, in ms; added before each. */
const LONG_HANDLERS = 6
const BEYOND_RESTART_MS = 1_500
/**
 * No lease can have run out within this of the outage, in ms: the newest renewal was sent a fifth of the lease before
 * it (and took a moment), and a process lets go of what it executes a sixth before the end.
 */
const SAFE_MS = CHAOS_LEASE_MS * (1 - 1 / 5 - 1 / 6) - 50

interface Outage {
  readonly from: Nanos
  readonly until: Nanos
}

/** The server crashes (immediate shutdown) and comes back, again and again, under load. */
export const postgresRestarts: Fault = {
  name: 'postgres-restarts',
  title: 'Postgres crashes and restarts',
  injections: { short: 3, long: 200 },
  sections: { short: 300, long: 20_000 },
  missing: (site) => (site.restart === null ? 'the server of a URL is not restarted' : null),
  async run(trial) {
    const rulings = []
    const complaints: string[] = []
    const outagesMs: number[] = []
    let restarts = 0
    let across = 0
    let stopped = 0
    const worksPerRestart = Math.ceil(trial.sections / trial.injections)
    for (let round = 0; restarts < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      const wanted = Math.min(RESTARTS_PER_ROUND, trial.injections - restarts)
      await using arena = await trial.openArena()
      await recoverQuickly(arena.pool)
      await Promise.all(
        Array.from({ length: WORKERS }, (_, n) => arena.hire({ exclusion: n === 0 ? 'lease' : 'session' })),
      )
      const outages: Outage[] = []
      const added: Job[] = []
      const add = (jobs: Job[]) => {
        added.push(...jobs)
        arena.queue.add(jobs)
      }
      for (let restart = 0; restart < wanted; restart++) {
        // Draws of its own for each restart, and for each delivery that may come again: what executes is up to the machine.
        const draws = random.fork(`restart ${restart}`)
        const everyMs = EVERY_MS.from + draws.next() * (EVERY_MS.to - EVERY_MS.from)
        const next = sleep(everyMs)
        const name = `r${round}/${restart}`
        const long = { name: `${name}/long`, works: LONG_HANDLERS, duplicatesInTen: 0, failures: false }
        const handlerMs = Math.round(everyMs + BEYOND_RESTART_MS)
        add(makeJobs(draws, long).map((job) => ({ ...job, handlerMs })))
        add(makeJobs(draws, { name, works: worksPerRestart }))
        await next
        // What is executing is delivered once more: somebody asks for it all through the outage.
        for (const worker of arena.crew.workers) {
          for (const [hand, { phase, job }] of [...worker.hands]) {
            const comesAgain = draws.fork(job.deliveryId).below(2) === 0
            if (phase === 'started' && comesAgain) arena.queue.redeliver(hand)
          }
        }
        const from = nanos()
        await trial.site.restart!('immediate')
        outages.push({ from, until: nanos() })
        restarts++
      }
      const evidence = await arena.finish()
      const ruling = trial.judge(evidence, { cooldownMs: cooldownOf(added), losesReplies: true })
      rulings.push(ruling)
      outagesMs.push(...outages.map(lengthMs))
      across += ruling.sections.filter((section) => outages.some((one) => isAcross(section, one))).length
      for (const section of ruling.sections) {
        if (section.ending !== 'stopped') continue
        stopped++
        if (!outages.some((outage) => explains(outage, section.endedAt!))) {
          complaints.push(
            `the handler of ${section.work} was stopped although its lease could not have run out; the outages took ${outages.map(lengthMs).join(', ')} ms`,
          )
        }
      }
      trial.say(
        `${restarts} restarts, ${rulings.reduce((sum, { sections }) => sum + sections.length, 0)} sections`,
      )
    }
    if (across === 0) complaints.push('no handler was under way across a restart: nothing was shown')
    const figures = {
      'longest outage, ms': Math.max(...outagesMs),
      'handlers under way across a restart': across,
      'handlers stopped': stopped,
    }
    return { injections: restarts, rulings, figures, complaints }
  },
}

/** Recovery syncs each file of the cluster by itself, which takes most of a second; the whole file system is as safe. */
async function recoverQuickly(pool: pg.Pool): Promise<void> {
  if (process.platform === 'linux') await pool.query("alter system set recovery_init_sync_method to 'syncfs'")
}

const lengthMs = ({ from, until }: Outage) => Math.round(Number(until - from) / 1_000_000)

const isAcross = ({ startedAt, endedAt }: Section, { from, until }: Outage) =>
  startedAt < from && endedAt !== null && endedAt > until

/** Whether a lease may have run out in this outage when a handler was stopped: it began long enough ago, and lasted. */
function explains(outage: Outage, stoppedAt: Nanos): boolean {
  const safe = BigInt(Math.round(SAFE_MS)) * 1_000_000n
  return (
    outage.until - outage.from > safe && stoppedAt > outage.from + safe && stoppedAt < outage.until + safe
  )
}
