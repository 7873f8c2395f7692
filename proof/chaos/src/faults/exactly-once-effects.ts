import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '@opsledger/testing'
import type pg from 'pg'
import { type Arena, CHAOS_LEASE_MS } from '../arena/arena.ts'
import type { Worker } from '../arena/crew.ts'
import { makeJobs } from '../arena/jobs.ts'
import { leasesTakenTooEarly, leasesTooShort } from '../arena/leases.ts'
import type { Phase } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import { overlapsOfFrozen } from '../oracle/frozen.ts'
import { type Effect, judgeHostWrites } from '../oracle/g8-host-writes.ts'
import type { Ruling } from '../oracle/judge.ts'

const WORKERS = 4
const INJECTIONS_PER_ROUND = 60
const WORKS_PER_INJECTION = 12
/** Longest pause between a phase and its fault, in ms: a transaction that writes and settles takes a few. */
const MAX_PAUSE_MS = 8
/** How far beyond its lease a worker is frozen, in ms. */
const MAX_BEYOND_LEASE_MS = 500

/** Answers with the fences that were frozen without their lock. */
type Injection = (arena: Arena, victim: Worker, random: Random) => Promise<readonly number[]>

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
    const complaints: string[] = []
    let injected = 0
    let effects = 0
    let exempted = 0
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
      const unlocked = new Set<number>()
      for (let n = 0; n < wanted; n++) {
        arena.queue.add(jobs.slice((n * jobs.length) / wanted, ((n + 1) * jobs.length) / wanted))
        const victim = random.pick(arena.crew.workers)
        const phase = random.pick<Phase>(['started', 'started', 'settling', 'asked'])
        const inject = random.pick([kill, freeze, cut])
        const pauseMs = random.next() * MAX_PAUSE_MS
        await Promise.race([victim.nextPhase(phase), sleep(2_000)])
        // Where the transaction is: the handler takes between half of its time and all of it.
        await sleep(phase === 'started' ? 25 + pauseMs * 5 : pauseMs)
        for (const fence of await inject(arena, victim, random)) unlocked.add(fence)
        injected++
      }
      await arena.queue.below(1)
      const { rows } = await arena.pool.query<Effect>(
        'select run_id, fence::float8 as fence, amount from effect',
      )
      effects += rows.length
      complaints.push(...(await leasesTakenTooEarly(arena.pool)))
      complaints.push(...(await leasesTooShort(arena.pool, CHAOS_LEASE_MS)))
      const evidence = await arena.finish()
      // A worker that was frozen in lease mode, or just when it had lost its lock session, may overlap in time. What it
      // writes must be refused, and that is looked at.
      const ruling = trial.judge(evidence, {
        cooldownMs: () => 0,
        isExempt: overlapsOfFrozen(evidence, CHAOS_LEASE_MS, unlocked),
        losesReplies: true,
        settlesInHandler: true,
      })
      const violations = [...ruling.violations, ...judgeHostWrites(rows, evidence.ledger.runs)]
      rulings.push({ ...ruling, violations })
      exempted += ruling.exempted.length
      trial.say(`${injected} faults, ${effects} effects`)
    }
    const figures = {
      'effects written': effects,
      'overlaps of frozen workers without a lock, left out of the promise': exempted,
    }
    return { injections: injected, rulings, figures, complaints }
  },
}

const kill: Injection = async (arena, victim) => {
  const { settings } = await victim.kill()
  await arena.hire({ exclusion: settings.exclusion })
  return []
}

/** Past its lease; a queue thinks its jobs stalled and delivers them again. */
const freeze: Injection = async ({ queue, pool }, victim, random) => {
  queue.detach(victim)
  victim.freeze()
  for (const hand of victim.hands.keys()) queue.redeliver(hand)
  const thawAt = performance.now() + CHAOS_LEASE_MS + random.next() * MAX_BEYOND_LEASE_MS
  // A contender may have just that lock for a moment, to look: what has none once, has none.
  const unlocked: number[] = []
  for (let look = 0; look < LOOKS; look++) {
    await sleep(LOOK_EVERY_MS)
    unlocked.push(...(await heldWithoutLock(pool, victim.process.pid)))
  }
  await sleep(Math.max(0, thawAt - performance.now()))
  victim.thaw()
  queue.attach(victim)
  return unlocked
}

/**
 * What it had sent before has been executed by the first look, and nobody can have taken anything by the last: together
 * less than what is left of a lease that is renewed every fifth of it.
 */
const LOOKS = 3
const LOOK_EVERY_MS = 300

/** Claims of this process whose advisory lock no session has: it was cut off, and did not have it back yet. */
async function heldWithoutLock(pool: pg.Pool, pid: number): Promise<number[]> {
  const { rows } = await pool.query<{ fence: number }>(
    `select c.fence::float8 as fence from opsledger.job_claim c join opsledger.worker_lease w on w.id = c.worker_id
     where c.state = 'held' and w.pid = $1 and not exists (
       select from pg_locks l
       where l.locktype = 'advisory' and l.granted and l.objsubid = 1
         and l.database = (select oid from pg_database where datname = current_database())
         and (l.classid::bigint << 32 | l.objid::bigint) = c.lock_key)`,
    [pid],
  )
  return rows.map(({ fence }) => fence)
}

/** Every connection of the library's, of all workers, in whatever statement it is. */
const cut: Injection = async ({ pool }) => {
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name in ('opsledger host', 'opsledger locks', 'opsledger work')`,
  )
  return []
}
