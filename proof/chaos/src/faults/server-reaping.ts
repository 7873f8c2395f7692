import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Job, Phase } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'

/** What the role is given in a database, in turn: the shorter of the two last ones is the one that is met. */
const TIMEOUTS = [
  {
    idle_session_timeout: '300ms',
    idle_in_transaction_session_timeout: '200ms',
    lock_timeout: '150ms',
    statement_timeout: '2s',
  },
  {
    idle_session_timeout: '300ms',
    idle_in_transaction_session_timeout: '200ms',
    lock_timeout: '2s',
    statement_timeout: '300ms',
  },
] as const
/** Injections per database: the queue runs empty and the judge looks before the next. */
const INJECTIONS_PER_ROUND = 100
const WORKS_PER_WAVE = 15
/** A table is locked for this long, in ms: longer than the timeouts, shorter than what a lease can do without. */
const LOCKED_FOR_MS = 700
/** A worker is stopped in mid-transaction for this long, in ms. */
const STOPPED_FOR_MS = 400
const LOOK_EVERY_MS = 10

/** The server ends sessions and cancels statements of its own accord, as a host's settings tell it to. */
export const serverReaping: Fault = {
  name: 'server-reaping',
  title: 'server-side timeouts end sessions and cancel statements',
  injections: { short: 20, long: 200 },
  async run(trial) {
    const rulings: Ruling[] = []
    let cancelled = 0
    let reaped = 0
    for (let round = 0; cancelled + reaped < trial.injections || round < TIMEOUTS.length; round++) {
      const random = trial.random.fork(`round ${round}`)
      const isLast = round >= TIMEOUTS.length - 1
      const left = trial.injections - cancelled - reaped
      const wanted = Math.min(INJECTIONS_PER_ROUND, isLast ? left : left / 2)
      await using arena = await trial.openArena()
      await using observer = await openObserver(arena.url)
      await observer.setForRole(TIMEOUTS[round % TIMEOUTS.length]!)
      const crew = await Promise.all([
        arena.hire(),
        arena.hire(),
        arena.hire({ exclusion: 'lease', throughKysely: true }),
        arena.hire({ exclusion: 'lease', throughKysely: true }),
      ])
      const hosts = crew.filter(({ settings }) => settings.throughKysely)
      const jobs: Job[] = []
      let cancelledNow = 0
      // A fair part of both kinds.
      const isEnough = async () =>
        cancelledNow >= wanted / 5 && cancelledNow + (await observer.reapedSessions()) >= wanted
      for (let wave = 0; !(await isEnough()); wave++) {
        const added = makeJobs(random, { name: `s${round}/${wave}`, works: WORKS_PER_WAVE, handlerMs: 100 })
        jobs.push(...added)
        arena.queue.add(added)
        const table = random.pick(['job_claim', 'operation_run', 'worker_lease'])
        const phase = random.pick<Phase>(['asked', 'settling'])
        const host = random.pick(hosts)
        const [newlyCancelled] = await Promise.all([
          observer.holdTable(table),
          Promise.race([host.nextPhase(phase), sleep(LOCKED_FOR_MS)]).then(async () => {
            // Shorter than the lease: to the judge nothing has happened.
            host.process.stop()
            await sleep(STOPPED_FOR_MS)
            host.process.cont()
          }),
        ])
        cancelledNow += newlyCancelled
        // Then nothing arrives for a while: connections lie idle.
        await arena.queue.below(1)
        await sleep(STOPPED_FOR_MS)
      }
      await arena.queue.below(1)
      cancelled += cancelledNow
      reaped += await observer.reapedSessions()
      await observer.setForRole(null)
      const evidence = await arena.finish()
      rulings.push(trial.judge(evidence, { cooldownMs: cooldownOf(jobs), losesReplies: true }))
      trial.say(`${cancelled} statements cancelled, ${reaped} sessions ended by the server`)
    }
    const figures = {
      'statements cancelled by the server': cancelled,
      'sessions ended by the server': reaped,
    }
    const complaints = Object.entries(figures).flatMap(([what, n]) =>
      n > 0 ? [] : [`no ${what}: nothing was shown`],
    )
    return { injections: cancelled + reaped, rulings, figures, complaints }
  },
}

/** Sessions of the observer's own, which no timeout concerns. */
async function openObserver(url: string) {
  const options =
    '-c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0'
  const [holder, looker] = [0, 1].map(
    () => new pg.Client({ connectionString: url, options, application_name: 'chaos observer' }),
  ) as [pg.Client, pg.Client]
  for (const client of [holder, looker]) {
    client.on('error', () => {})
    await client.connect()
  }
  const { rows } = await holder.query('select pg_backend_pid() as pid')
  const holderPid: number = rows[0].pid

  /** Statements that wait for the holder, each a process and the time at which it began. */
  const waiting = async (): Promise<string[]> => {
    const found = await looker.query(
      `select pid || ' ' || query_start as statement from pg_stat_activity
       where datname = current_database() and $1 = any (pg_blocking_pids(pid))`,
      [holderPid],
    )
    return found.rows.map((row) => row.statement)
  }

  return {
    async setForRole(timeouts: Readonly<Record<string, string>> | null) {
      const all = Object.entries(timeouts ?? {}).map(([name, value]) => `set ${name} to '${value}'`)
      for (const change of timeouts === null ? ['reset all'] : all) {
        await looker.query(`
          do $$ begin
            execute format($f$alter role %I in database %I ${change}$f$, current_user, current_database());
          end $$`)
      }
    },
    /** Locks the table against writes; answers with the statements that came to wait, and gave up before it was free. */
    async holdTable(table: string): Promise<number> {
      await holder.query('begin')
      await holder.query(`lock table opsledger.${table} in exclusive mode`)
      const until = performance.now() + LOCKED_FOR_MS
      const seen = new Set<string>()
      let still = new Set<string>()
      while (performance.now() < until) {
        still = new Set(await waiting())
        for (const statement of still) seen.add(statement)
        await sleep(LOOK_EVERY_MS)
      }
      await holder.query('commit')
      return [...seen].filter((statement) => !still.has(statement)).length
    },
    /** Sessions that the server ended with an error since the database was made. */
    async reapedSessions(): Promise<number> {
      const found = await looker.query(
        'select sessions_fatal::int as n from pg_stat_database where datname = current_database()',
      )
      return found.rows[0].n
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([holder.end(), looker.end()])
    },
  }
}
