import { setTimeout as sleep } from 'node:timers/promises'
import { CHAOS_LEASE_MS } from '../arena/arena.ts'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Phase } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import { readmissionsAfterKills } from '../oracle/readmission.ts'

const WORKERS = 4
/** Kills per database: the queue runs empty and the judge looks before the next. */
const KILLS_PER_ROUND = 100
/** Longest pause between a phase and its kill, in ms: an admission or a settlement takes about one. */
const MAX_PAUSE_MS = 3
/** What a busy machine may add to the lease before the work is taken over, in ms. */
const READMISSION_GRACE_MS = 500

/** SIGKILL at random points: on the way in, in the handler, around the settlement. Another worker takes its place. */
export const workerKilled: Fault = {
  name: 'worker-killed',
  title: 'a worker is killed (SIGKILL)',
  injections: { short: 20, long: 2_000 },
  sections: { short: 1_000, long: 100_000 },
  async run(trial) {
    const rulings = []
    const readmissionMs: number[] = []
    let kills = 0
    const sectionsPerKill = Math.ceil(trial.sections / trial.injections)
    for (let round = 0; kills < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      const wanted = Math.min(KILLS_PER_ROUND, trial.injections - kills)
      await using arena = await trial.openArena()
      const { queue } = arena
      for (let n = 0; n < WORKERS; n++) await arena.hire({ exclusion: n === 0 ? 'lease' : 'session' })
      const jobs = makeJobs(random, { name: `k${round}`, works: wanted * sectionsPerKill })
      let given = 0
      const feed = (upTo: number) => {
        queue.add(jobs.slice(given, upTo))
        given = Math.max(given, upTo)
      }
      for (let kill = 1; kill <= wanted; kill++) {
        feed(Math.ceil((jobs.length * kill) / wanted))
        const phase = random.pick<Phase>(['asked', 'started', 'settling', 'answered'])
        const pauseMs = random.next() * MAX_PAUSE_MS
        const victim = random.pick(arena.crew.workers)
        await Promise.race([victim.nextPhase(phase), sleep(2_000)])
        await sleep(pauseMs)
        const { settings } = await victim.kill()
        kills++
        await arena.hire({ exclusion: settings.exclusion })
        // Some of the load goes by before the next one, so that kills do not all meet the same jobs.
        await queue.below(Math.max(1, Math.ceil(jobs.length / wanted / 2)))
      }
      feed(jobs.length)
      const evidence = await arena.finish()
      const ruling = trial.judge(evidence, { cooldownMs: cooldownOf(jobs), expectedCodes: [] })
      rulings.push(ruling)
      readmissionMs.push(...readmissionsAfterKills(ruling.sections, evidence))
      trial.say(`${kills} kills, ${rulings.reduce((sum, { sections }) => sum + sections.length, 0)} sections`)
    }
    const late = readmissionMs.filter((ms) => ms > CHAOS_LEASE_MS + READMISSION_GRACE_MS)
    const complaints = late.map((ms) => `re-admitted only after ${Math.round(ms)} ms`)
    return { injections: kills, rulings, readmissionMs, complaints }
  },
}
