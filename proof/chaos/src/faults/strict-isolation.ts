import type pg from 'pg'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'

const LEVELS = ['repeatable read', 'serializable'] as const
/** Workers on the library's own connections, and as many through a host's Kysely instance: all share the work. */
const WORKERS = 2
/** Sections per database: the queue runs empty and the judge looks before the next. */
const SECTIONS_PER_ROUND = 1_250

/** The role that the workers connect as defaults to a level at which a statement does not see what was just committed. */
export const strictIsolation: Fault = {
  name: 'strict-isolation',
  title: 'the role defaults to REPEATABLE READ or SERIALIZABLE',
  injections: { short: 300, long: 5_000 },
  async run(trial) {
    const rulings: Ruling[] = []
    const complaints: string[] = []
    const figures: Record<string, number> = {}
    let sections = 0
    for (const level of LEVELS) {
      const ofLevel = { own: 0, kysely: 0 }
      const wanted = trial.injections / LEVELS.length
      for (let round = 0; ofLevel.own + ofLevel.kysely < wanted; round++) {
        const random = trial.random.fork(`${level} ${round}`)
        await using arena = await trial.openArena()
        await defaultTo(arena.pool, level)
        const crew = await Promise.all(
          Array.from({ length: 2 * WORKERS }, (_, n) =>
            n < WORKERS ? arena.hire() : arena.hire({ exclusion: 'lease', throughKysely: true }),
          ),
        )
        const throughKysely = new Set(crew.slice(WORKERS).map(({ process }) => process.pid))
        const missing = Math.min(SECTIONS_PER_ROUND, wanted - ofLevel.own - ofLevel.kysely)
        // Every work is dispatched twice at about the same time; one half, without a cooldown, executes twice.
        const jobs = makeJobs(random, {
          name: `${level}${round}`,
          works: Math.ceil(missing * 0.8),
          duplicatesInTen: 10,
          handlerMs: 10,
        })
        arena.queue.add(jobs)
        const evidence = await arena.finish()
        const ruling = trial.judge(evidence, { cooldownMs: cooldownOf(jobs), expectedCodes: [] })
        rulings.push(ruling)
        sections += ruling.sections.length
        for (const { pid } of ruling.sections) ofLevel[throughKysely.has(pid) ? 'kysely' : 'own']++
        // The judge lets a database that is away pass; here it never is.
        for (const { deliveryId, answer } of ruling.answers) {
          if (answer.kind === 'unavailable')
            complaints.push(`${deliveryId} met ${answer.code}: ${answer.message}`)
        }
        trial.say(`${level}, ${sections} sections`)
      }
      figures[`contended sections at ${level}, the library's own connections`] = ofLevel.own
      figures[`contended sections at ${level}, a host's Kysely instance`] = ofLevel.kysely
    }
    return { injections: sections, rulings, figures, complaints }
  },
}

/** For the sessions that begin from now on. */
async function defaultTo(pool: pg.Pool, level: (typeof LEVELS)[number]): Promise<void> {
  await pool.query(`
    do $$ begin
      execute format('alter role %I in database %I set default_transaction_isolation to ''${level}''',
        current_user, current_database());
    end $$`)
}
