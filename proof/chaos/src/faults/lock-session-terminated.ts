import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Phase } from '../arena/messages.ts'
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
      for (let n = 0; n < WORKERS; n++) await arena.hire()
      const jobs = []
      while (terminated < wanted) {
        if (queue.size < WORKS_AT_ONCE) {
          const more = makeJobs(random, {
            name: `s${round}.${jobs.length}`,
            works: WORKS_AT_ONCE,
            handlerMs: HANDLER_MS,
          })
          jobs.push(...more)
          queue.add(more)
        }
        const phase = random.pick<Phase>(['asked', 'started', 'started', 'settling', 'answered'])
        const pauseMs = random.next() * MAX_PAUSE_MS
        const isForAll = random.below(4) === 0
        const contested = random.next()
        await Promise.race([random.pick(crew.workers).nextPhase(phase), sleep(2_000)])
        await sleep(pauseMs)
        const ended = await terminateLockSessions(pool, isForAll ? null : random.next())
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
      const ruling = trial.judge(evidence, { cooldownMs: cooldownOf(jobs) })
      rulings.push(ruling)
      complaints.push(...noticed(ruling))
      trial.say(`${terminated} sessions terminated, ${hit} of them with locks`)
    }
    const figures = { 'sessions that held locks': hit, 'locks lost': locksLost }
    if (hit === 0) complaints.push('no terminated session held a lock')
    return { injections: terminated, rulings, complaints, figures }
  },
}

/** One of them, chosen by a number from 0 to below 1, or with null all. */
async function terminateLockSessions(
  pool: pg.Pool,
  choice: number | null,
): Promise<{ pid: number; locks: number }[]> {
  const { rows } = await pool.query<{ pid: number; locks: number; ended: boolean }>(
    `with lock_session as (
       select a.pid, row_number() over (order by a.pid) as n, count(*) over () as sessions,
         (select count(*)::int from pg_locks l where l.pid = a.pid and l.locktype = 'advisory') as locks
       from pg_stat_activity a
       where a.datname = current_database() and a.application_name = 'opsledger locks')
     select pid, locks, pg_terminate_backend(pid) as ended from lock_session
     where $1::float8 is null or n = 1 + floor($1::float8 * sessions)`,
    [choice],
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
