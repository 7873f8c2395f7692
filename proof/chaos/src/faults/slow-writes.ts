import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '@opsledger/testing'
import type pg from 'pg'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Job } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'
import type { Section } from '../oracle/sections.ts'

const WORKERS = 4
/** Few at once: every row of a batch is stalled, and a batch is to stay shorter than its lock time-out. */
const SLOTS = 3
const WORKS_PER_ROUND = 16
const DELIVERIES_PER_WORK = 24
/** One write in four is stalled, so long that others admit, execute and settle the same work meanwhile. */
const STALL_MS = 120

/**
 * Every write of a claim is stalled inside its statement, for a random time, between the row that was made and the row
 * that is locked: the places where an order that only mostly holds would show.
 */
export const slowWrites: Fault = {
  name: 'slow-writes',
  title: 'claim rows are written slowly (a trigger stalls one write in four)',
  injections: { short: 120, long: 2_000 },
  async run(trial) {
    const rulings: Ruling[] = []
    const complaints: string[] = []
    let stalled = 0
    for (let round = 0; stalled < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      await using arena = await trial.openArena({ slots: SLOTS })
      await stallClaims(arena.pool, random.fork('stalls').below(2 ** 31))
      await Promise.all(
        Array.from({ length: WORKERS }, (_, n) =>
          arena.hire({ exclusion: trial.exclusion ?? (n % 2 === 0 ? 'session' : 'lease') }),
        ),
      )
      const jobs = crowd(random, round)
      for (let at = 0; at < jobs.length; at += 20) {
        arena.queue.add(jobs.slice(at, at + 20))
        await Promise.race([arena.queue.below(16), sleep(2_000)])
      }
      await arena.queue.below(1)
      const { rows } = await arena.pool.query<{ writes: number }>(
        'select last_value::int as writes from stalled_writes',
      )
      stalled += rows[0]!.writes
      const evidence = await arena.finish()
      const ruling = trial.judge(evidence, { cooldownMs: cooldownOf(jobs), expectedCodes: [] })
      rulings.push(ruling)
      // Nobody was killed, frozen or cut off: what executed has its claim to the end.
      for (const { answer, deliveryId } of ruling.answers) {
        if (answer.kind === 'executed' && answer.settlement === 'superseded') {
          complaints.push(
            `${deliveryId} was superseded under fence ${answer.fence}, and nothing had happened to it`,
          )
        }
      }
      complaints.push(...fallingFences(ruling.sections))
      trial.say(`${stalled} writes stalled`)
    }
    return { injections: stalled, rulings, complaints }
  },
}

/** Each claim of a work has a greater fence than the one before it, or a system that refuses older ones refuses it. */
function fallingFences(sections: readonly Section[]): string[] {
  return [...Map.groupBy(sections, (section) => section.work).values()].flatMap((group) => {
    const inOrder = group.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
    return inOrder.flatMap((section, index) => {
      const before = inOrder[index - 1]
      if (before === undefined || before.fence < section.fence) return []
      return [
        `${section.work} executed under fence ${section.fence} after it had under fence ${before.fence}`,
      ]
    })
  })
}

/** Few works, dispatched again and again: the claim of each is freed and taken all the time. */
function crowd(random: Random, round: number): Job[] {
  const works = makeJobs(random, {
    name: `w${round}`,
    works: WORKS_PER_ROUND,
    handlerMs: 4,
    duplicatesInTen: 0,
  }).map((job) => ({ ...job, ending: 'returns' as const, cooldownMs: job.cooldownMs > 0 ? 100 : 0 }))
  return Array.from({ length: WORKS_PER_ROUND * DELIVERIES_PER_WORK }, (_, n) => {
    const job = random.pick(works)
    return { ...job, deliveryId: `${job.deliveryId}/${n}` }
  })
}

/** The how-many-th writes are stalled is up to the seed; whose write that is, to how the workers interleave. */
async function stallClaims(pool: pg.Pool, seed: number): Promise<void> {
  await pool.query(`
    create sequence writes;
    create sequence stalled_writes;
    create function stall() returns trigger language plpgsql as $$
    begin
      if hashint8extended(nextval('public.writes'), ${seed}) & 3 = 0 then
        perform nextval('public.stalled_writes');
        perform pg_sleep(${STALL_MS / 1_000});
      end if;
      return new;
    end $$;
    create trigger stall before insert or update on opsledger.job_claim for each row execute function stall()`)
}
