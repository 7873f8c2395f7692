import { setTimeout as sleep } from 'node:timers/promises'
import { type Arena, CHAOS_LEASE_MS } from '../arena/arena.ts'
import type { Worker } from '../arena/crew.ts'
import { makeJobs } from '../arena/jobs.ts'
import type { Phase } from '../arena/messages.ts'
import type { Random } from '../arena/random.ts'
import type { Fault } from '../fault.ts'
import type { Ruling, Violation } from '../oracle/judge.ts'
import type { Section } from '../oracle/sections.ts'

const WORKERS = 4
const INJECTIONS_PER_ROUND = 60
const WORKS_PER_INJECTION = 12
/** Longest pause between a phase and its fault, in ms: a transaction that writes and settles takes a few. */
const MAX_PAUSE_MS = 8
/** How far beyond its lease a worker is frozen, in ms. */
const MAX_BEYOND_LEASE_MS = 500

type Injection = (arena: Arena, victim: Worker, random: Random) => Promise<void>

/**
 * Handlers that write a row of the host's and settle in one `run.transaction`, while their workers are killed, frozen
 * past their lease, and cut off from the database in mid-statement: the rows equal the runs that succeeded, exactly.
 */
export const exactlyOnceEffects: Fault = {
  name: 'exactly-once-effects',
  title: 'host writes that settle in one transaction, under kills, freezes and cuts',
  injections: { short: 16, long: 600 },
  async run(trial) {
    const rulings: Ruling[] = []
    let injected = 0
    let effects = 0
    for (let round = 0; injected < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      const wanted = Math.min(INJECTIONS_PER_ROUND, trial.injections - injected)
      await using arena = await trial.openArena()
      // No constraint would do for the library what is asked of it.
      await arena.pool.query(
        'create table effect (run_id uuid not null, fence bigint not null, amount int not null)',
      )
      for (let n = 0; n < WORKERS; n++) await arena.hire({ exclusion: n % 2 === 0 ? 'session' : 'lease' })
      const works = wanted * WORKS_PER_INJECTION
      // Effects that happen once are about one run each: a cooldown would only hide a second one.
      const jobs = makeJobs(random, { name: `e${round}`, works, handlerMs: 60, cooldownMs: 0 }).map(
        (job) => ({
          ...job,
          writesEffect: true,
        }),
      )
      for (let n = 0; n < wanted; n++) {
        arena.queue.add(jobs.slice((n * jobs.length) / wanted, ((n + 1) * jobs.length) / wanted))
        const victim = random.pick(arena.crew.workers)
        const phase = random.pick<Phase>(['started', 'started', 'settling', 'asked'])
        const inject = random.pick([kill, freeze, cut])
        const pauseMs = random.next() * MAX_PAUSE_MS
        await Promise.race([victim.nextPhase(phase), sleep(2_000)])
        // Where the transaction is: the handler takes between half of its time and all of it.
        await sleep(phase === 'started' ? 25 + pauseMs * 5 : pauseMs)
        await inject(arena, victim, random)
        injected++
      }
      await arena.queue.below(1)
      const { rows } = await arena.pool.query<Effect>(
        'select run_id, fence::float8 as fence, amount from effect',
      )
      effects += rows.length
      const evidence = await arena.finish()
      // A frozen worker in lease mode may overlap in time. What it writes must be refused, and that is looked at here.
      const frozen = new Set(
        evidence.crew.interruptions.flatMap(({ kind, pid }) => (kind === 'frozen' ? [pid] : [])),
      )
      const isExempt = (...pair: Section[]) => pair.some(({ pid }) => frozen.has(pid))
      const ruling = trial.judge(evidence, { cooldownMs: () => 0, isExempt, settlesInHandler: true })
      rulings.push({ ...ruling, violations: [...ruling.violations, ...compare(rows, evidence.ledger.runs)] })
      trial.say(`${injected} faults, ${effects} effects`)
    }
    return { injections: injected, rulings, figures: { 'effects written': effects } }
  },
}

interface Effect {
  readonly run_id: string
  readonly fence: number
  readonly amount: number
}

/** One effect for every run that succeeded, of the attempt that it shows, and none for any other. */
function compare(
  effects: readonly Effect[],
  runs: readonly { id: string; outcome: string; fence: number | null; counts: { total: number } | null }[],
): Violation[] {
  const violations: Violation[] = []
  const ofRun = Map.groupBy(effects, (effect) => effect.run_id)
  for (const { id, outcome, fence, counts } of runs) {
    const written = ofRun.get(id) ?? []
    const isRight =
      outcome === 'succeeded'
        ? written.length === 1 && written[0]!.fence === fence && written[0]!.amount === counts?.total
        : written.length === 0
    if (isRight) continue
    const shown = written.map((effect) => `fence ${effect.fence}`).join(', ') || 'none'
    violations.push({
      guarantee: 'G8',
      what: `run ${id} is ${outcome} at fence ${fence}, its effects: ${shown}`,
    })
  }
  return violations
}

const kill: Injection = async (arena, victim) => {
  const { settings } = await victim.kill()
  await arena.hire({ exclusion: settings.exclusion })
}

/** Past its lease; a queue thinks its jobs stalled and delivers them again. */
const freeze: Injection = async ({ queue }, victim, random) => {
  queue.detach(victim)
  victim.freeze()
  for (const hand of victim.hands.keys()) queue.redeliver(hand)
  await sleep(CHAOS_LEASE_MS + random.next() * MAX_BEYOND_LEASE_MS)
  victim.thaw()
  queue.attach(victim)
}

/** Every connection of the library's, of all workers, in whatever statement it is. */
const cut: Injection = async ({ pool }) => {
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name in ('opsledger host', 'opsledger locks', 'opsledger work')`,
  )
}
