import { setTimeout as sleep } from 'node:timers/promises'
import { findPgBouncer, type PgBouncerSettings, startPgBouncer } from '@opsledger/testing'
import { CHAOS_LEASE_MS } from '../arena/arena.ts'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Phase } from '../arena/messages.ts'
import type { Fault, Trial } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'
import { readmissionsAfterKills } from '../oracle/readmission.ts'

const WORKERS = 8
const POOLER: PgBouncerSettings = { pool_mode: 'transaction', default_pool_size: 4, max_client_conn: 300 }
/** Sections per database: the queue runs empty and the judge looks before the next. */
const SECTIONS_PER_ROUND = 1_250
const SECTIONS_PER_KILL = 125
const MAX_PAUSE_MS = 3
/** Workers in session mode, none of which may start. */
const REFUSALS = 1
/** What a busy machine and a queue for one of four connections may add to the lease, in ms. */
const READMISSION_GRACE_MS = 1_000

/**
 * PgBouncer in transaction mode: eight workers share four server connections, and a session's lock would belong to
 * whoever comes next. Now and then a worker is killed with its connections in the pool.
 */
export const transactionPooler: Fault = {
  name: 'transaction-pooler',
  title: 'a transaction pooler (PgBouncer, 8 workers on a pool of 4)',
  injections: { short: 250, long: 5_000 },
  missing: () =>
    findPgBouncer() === null ? 'PgBouncer is not installed (nor named by OPSLEDGER_PGBOUNCER)' : null,
  async run(trial) {
    const { complaints, refusals, ruling } = await sessionModeIsRefused(trial)
    // Caught: more of the same would show nothing else.
    if (trial.mutant !== null && complaints.length > 0) {
      return { injections: refusals, rulings: [ruling], complaints }
    }
    const rulings: Ruling[] = [ruling]
    const readmissionMs: number[] = []
    let kills = 0
    let sections = 0
    for (let round = 0; sections < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      const wanted = Math.min(SECTIONS_PER_ROUND, trial.injections - sections)
      await using arena = await trial.openArena()
      const { queue } = arena
      const pooler = await startPgBouncer(arena.url, POOLER)
      await using _ = pooler
      const settings = { url: pooler.url, exclusion: 'lease' } as const
      await Promise.all(Array.from({ length: WORKERS }, () => arena.hire(settings)))
      // Every work is executed at least once, retries come on top.
      const jobs = makeJobs(random, { name: `p${round}`, works: wanted, duplicatesInTen: 6 })
      const killsHere = Math.max(1, Math.floor(wanted / SECTIONS_PER_KILL))
      let given = 0
      // In portions: behind a thousand others nobody would ask again every 100 ms.
      const feed = (upTo: number) => {
        queue.add(jobs.slice(given, upTo))
        given = upTo
      }
      for (let kill = 1; kill <= killsHere; kill++) {
        feed(Math.ceil((jobs.length * kill) / (killsHere + 1)))
        const victim = random.pick(arena.crew.workers)
        const phase = random.pick<Phase>(['asked', 'started', 'settling', 'answered'])
        const pauseMs = random.next() * MAX_PAUSE_MS
        await Promise.race([victim.nextPhase(phase), sleep(2_000)])
        await sleep(pauseMs)
        await victim.kill()
        kills++
        await arena.hire(settings)
        await queue.below(WORKERS)
      }
      feed(jobs.length)
      await queue.below(1)
      await arena.crew.dismiss(DISMISS_WITHIN_MS)
      // Its server connections bear the library's name, and are its own.
      await pooler.stop()
      const evidence = await arena.finish()
      const ruling = trial.judge(evidence, { cooldownMs: cooldownOf(jobs), expectedCodes: [] })
      sections += ruling.sections.length
      rulings.push(ruling)
      readmissionMs.push(...readmissionsAfterKills(ruling.sections, evidence))
      trial.say(`${sections} sections, ${kills} kills`)
    }
    for (const ms of readmissionMs) {
      if (ms > CHAOS_LEASE_MS + READMISSION_GRACE_MS) {
        complaints.push(`re-admitted only after ${Math.round(ms)} ms`)
      }
    }
    const figures = { 'workers killed': kills, 'session mode refused': refusals }
    return { injections: sections, rulings, readmissionMs, complaints, figures }
  },
}

const DISMISS_WITHIN_MS = 60_000

/** Workers in session mode behind the pooler do not start, and say why; one in lease mode then does the work. */
async function sessionModeIsRefused(
  trial: Trial,
): Promise<{ complaints: string[]; refusals: number; ruling: Ruling }> {
  const complaints: string[] = []
  await using arena = await trial.openArena()
  const pooler = await startPgBouncer(arena.url, POOLER)
  await using _ = pooler
  const jobs = makeJobs(trial.random.fork('refused'), { name: 'r', works: 4, failures: false })
  arena.queue.add(jobs)
  for (let start = 0; start < REFUSALS; start++) {
    const started = await arena.hire({ url: pooler.url, exclusion: 'session' }).catch(() => null)
    if (started === null) continue
    complaints.push('a worker in session mode started behind a transaction pooler')
    await started.kill()
  }
  const { process: allowed } = await arena.hire({ url: pooler.url, exclusion: 'lease' })
  await arena.queue.below(1)
  await arena.crew.dismiss(DISMISS_WITHIN_MS)
  await pooler.stop()
  const evidence = await arena.finish()
  const isRefusal = (why: string) => why.includes('TransactionPoolerError')
  const ruling = trial.judge(evidence, {
    cooldownMs: cooldownOf(jobs),
    expectedCodes: [],
    mayFall: isRefusal,
  })
  const refusals = evidence.marks.filter((mark) => mark.mark === 'fell' && isRefusal(mark.why))
  if (refusals.length !== REFUSALS) {
    complaints.push(`${refusals.length} of ${REFUSALS} workers in session mode were refused for the pooler`)
  }
  const { sections } = ruling
  const executed = sections.filter(({ pid }) => pid !== allowed.pid)
  if (executed.length > 0) complaints.push(`${executed.length} sections were executed in session mode`)
  if (sections.length === 0) complaints.push('lease mode executed nothing behind the pooler')
  return { complaints, refusals: refusals.length, ruling }
}
