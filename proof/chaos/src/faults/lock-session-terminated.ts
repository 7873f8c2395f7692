import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '@opsledger/testing'
import type pg from 'pg'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Job, Phase } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'

const WORKERS = 4
/** Terminated sessions per database: the queue runs empty and the judge looks before the next. */
const INJECTIONS_PER_ROUND = 250
const WORKS_AT_ONCE = 40
/** Long enough for another worker to ask for the work while its lock is lost, in ms. */
const HANDLER_MS = 80
/** Longest pause between a phase and the blow, in ms: a session is back after about ten. */
const MAX_PAUSE_MS = 12
/** Of what is executing when a session ends, so many are delivered once more, as a queue does with a stalled job. */
const REDELIVERED = 3

/**
 * `pg_terminate_backend` of the session that holds a process's advisory locks: of one worker, or of all at once. Its
 * leases live on, so nothing can be taken, and nothing that executes may notice.
 */
export const lockSessionTerminated: Fault = {
  name: 'lock-session-terminated',
  title: 'the lock session is terminated (pg_terminate_backend)',
  injections: { short: 80, long: 1_000 },
  async run(trial) {
    const rulings: Ruling[] = []
    const complaints: string[] = []
    let terminated = 0
    let locksLost = 0
    let hit = 0
    for (let round = 0; terminated < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      const wanted = Math.min(terminated + INJECTIONS_PER_ROUND, trial.injections)
      await using arena = await trial.openArena()
      const { queue, crew, pool } = arena
      const hired = await Promise.all(Array.from({ length: WORKERS }, () => arena.hire()))
      const jobs: Job[] = []
      // Each blow and each load of works has draws of its own: how many were needed before is up to the machine.
      for (let blow = 0, load = 0; terminated < wanted; blow++) {
        if (queue.size < WORKS_AT_ONCE) {
          const more = makeJobs(random.fork(`load ${load}`), {
            name: `s${round}.${load++}`,
            works: WORKS_AT_ONCE,
            handlerMs: HANDLER_MS,
          })
          jobs.push(...more)
          queue.add(more)
        }
        const { phase, awaited, pauseMs, victim, contested } = planBlow(random.fork(`blow ${blow}`))
        await Promise.race([hired[awaited]!.nextPhase(phase), sleep(2_000)])
        await sleep(pauseMs)
        const pid = victim === null ? null : hired[victim]!.process.pid
        const ended = await terminateLockSessions(pool, pid)
        terminated += ended.length
        for (const { locks } of ended) {
          locksLost += locks
          if (locks > 0) hit++
        }
        const executing = crew.workers.flatMap((worker) =>
          [...worker.hands].filter(([, state]) => state.phase === 'started'),
        )
        const from = Math.floor(contested * executing.length)
        for (const [hand] of executing.slice(from, from + REDELIVERED)) queue.redeliver(hand)
      }
      const evidence = await arena.finish()
      const ruling = trial.judge(evidence, {
        cooldownMs: cooldownOf(jobs),
        expectedCodes: [],
        losesReplies: true,
      })
      rulings.push(ruling)
      complaints.push(...noticed(ruling))
      trial.say(`${terminated} sessions terminated, ${hit} of them with locks`)
    }
    const figures = {
      'terminated sessions that held advisory locks': hit,
      'advisory locks that ended with those sessions': locksLost,
    }
    if (hit === 0) complaints.push('no terminated session held a lock')
    return { injections: terminated, rulings, complaints, figures }
  },
}

function planBlow(random: Random) {
  return {
    phase: random.pick<Phase>(['asked', 'started', 'started', 'settling', 'answered']),
    awaited: random.below(WORKERS),
    pauseMs: random.next() * MAX_PAUSE_MS,
    /** Whose session it is, one time in four everybody's. */
    victim: random.below(4) === 0 ? null : random.below(WORKERS),
    contested: random.next(),
  }
}

/**
 * That of one process, or with null all. Whose a session is shows in what it holds: where that process holds nothing, it
 * is one of those that hold nothing either.
 */
async function terminateLockSessions(
  pool: pg.Pool,
  processId: number | null,
): Promise<{ pid: number; locks: number }[]> {
  const { rows } = await pool.query<{ pid: number; locks: number; ended: boolean }>(
    `with held as (
       select l.pid, count(*)::int as locks, min(w.pid) as process_id
       from pg_locks l
       left join opsledger.job_claim c on c.state = 'held'
         and c.lock_key = (l.classid::bigint << 32 | l.objid::bigint)
       left join opsledger.worker_lease w on w.id = c.worker_id
       where l.locktype = 'advisory' and l.granted and l.objsubid = 1
         and l.database = (select oid from pg_database where datname = current_database())
       group by l.pid),
     lock_session as (
       select a.pid, coalesce(held.locks, 0) as locks, row_number() over (
         order by held.process_id is not distinct from $1::int desc, held.process_id is null desc, a.pid) as n
       from pg_stat_activity a left join held on held.pid = a.pid
       where a.datname = current_database() and a.application_name = 'opsledger locks')
     select pid, locks, pg_terminate_backend(pid) as ended from lock_session where $1::int is null or n = 1`,
    [processId],
  )
  return rows.filter(({ ended }) => ended)
}

/** Nothing was taken, so every handler ends by itself and its settlement counts. */
function noticed({ sections, answers }: Ruling): string[] {
  const complaints: string[] = []
  for (const { work, fence, ending } of sections) {
    if (ending === null || ending === 'stopped') {
      complaints.push(`the handler of ${work} under fence ${fence} was ${ending ?? 'cut off'}`)
    }
  }
  for (const { answer, deliveryId } of answers) {
    if (answer.kind === 'unavailable') complaints.push(`${deliveryId} was told ${answer.code}`)
    const isForItself = answer.kind === 'skipped' && answer.holder?.deliveryId === deliveryId
    if (isForItself && answer.reason === 'overlap' && answer.action === 'discard') {
      complaints.push(
        `${deliveryId} was discarded while it was itself executing, under fence ${answer.holder?.fence}`,
      )
    }
    if (answer.kind !== 'executed') continue
    const { settlement, fence, isHandedBack } = answer
    if (isHandedBack || (settlement !== 'settled' && settlement !== 'already_settled')) {
      const how = isHandedBack ? `${settlement}, and handed back` : settlement
      complaints.push(`${deliveryId} under fence ${fence} ended ${how}`)
    }
  }
  return complaints
}
