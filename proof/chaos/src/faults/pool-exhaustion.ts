import type { Nanos } from '@opsledger/testing'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'

const WORKERS = 2
const CONNECTIONS = 2
const CONCURRENT_JOBS = 50
const JOBS_PER_ROUND = 500
/** An admission fails after 10,000 ms; what takes half of it has waited in a line that does not move. */
const SLOW_MS = 5_000
/** The queue is stuck when nothing was completed for this long, in ms. */
const STUCK_MS = 30_000

/** Many jobs at once on few connections: nobody may hold one while waiting for another. */
export const poolExhaustion: Fault = {
  name: 'pool-exhaustion',
  title: `a pool of ${CONNECTIONS}, ${CONCURRENT_JOBS} concurrent jobs`,
  injections: { short: 300, long: 2_000 },
  async run(trial) {
    const rulings: Ruling[] = []
    const complaints: string[] = []
    const figures: Record<string, number> = {}
    let jobsDone = 0
    for (const throughKysely of [false, true]) {
      const way = throughKysely ? "a host's Kysely instance" : "the library's own connections"
      const waitsMs: number[] = []
      for (let done = 0; done < trial.injections / 2; ) {
        const random = trial.random.fork(`${way} ${done}`)
        const wanted = Math.min(JOBS_PER_ROUND, trial.injections / 2 - done)
        await using arena = await trial.openArena({ slots: CONCURRENT_JOBS })
        const exclusion = throughKysely ? 'lease' : 'session'
        const settings = { exclusion, throughKysely, connections: CONNECTIONS } as const
        await Promise.all(Array.from({ length: WORKERS }, () => arena.hire(settings)))
        const jobs = makeJobs(random, { name: `p${throughKysely}${done}`, works: wanted, handlerMs: 100 })
        arena.queue.add(jobs)
        if (!(await runsEmpty(arena.queue))) {
          complaints.push(
            `${way}: nothing was completed for ${STUCK_MS} ms, ${arena.queue.size} jobs are left`,
          )
          return { injections: jobsDone, rulings, complaints }
        }
        const evidence = await arena.finish()
        const ruling = trial.judge(evidence, { cooldownMs: cooldownOf(jobs), expectedCodes: [] })
        rulings.push(ruling)
        done += wanted
        jobsDone += wanted
        const byFence = new Map(ruling.sections.map((section) => [section.fence, section]))
        for (const { deliveryId, answer, askedAt, at } of ruling.answers) {
          // Without one when it was stopped before its handler began.
          const section = answer.kind === 'executed' ? byFence.get(answer.fence) : undefined
          const waits: [string, Nanos][] = [['admission', (section?.startedAt ?? at) - askedAt]]
          if (section !== undefined) waits.push(['settlement', at - section.endedAt!])
          if (answer.kind === 'unavailable')
            complaints.push(`${deliveryId} met ${answer.code}: ${answer.message}`)
          for (const [what, wait] of waits) {
            const waitMs = Math.round(Number(wait) / 1_000_000)
            waitsMs.push(waitMs)
            if (waitMs > SLOW_MS) complaints.push(`${deliveryId} waited ${waitMs} ms for its ${what}`)
          }
        }
      }
      waitsMs.sort((a, b) => a - b)
      figures[`jobs on ${way}`] = trial.injections / 2
      figures[`admission or settlement on ${way}, median, ms`] = waitsMs[Math.floor(waitsMs.length / 2)]!
      figures[`admission or settlement on ${way}, longest, ms`] = waitsMs.at(-1)!
      trial.say(`${way}: ${jobsDone} jobs, the slowest admission or settlement took ${waitsMs.at(-1)} ms`)
    }
    return { injections: jobsDone, rulings, figures, complaints }
  },
}

/** False when the queue stopped moving. */
async function runsEmpty(queue: { readonly completed: number; below(size: number): Promise<void> }) {
  const isEmpty = queue.below(1).then(() => true)
  for (;;) {
    const before = queue.completed
    let timer: NodeJS.Timeout | undefined
    const look = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(queue.completed > before), STUCK_MS)
    })
    const isMoving = await Promise.race([isEmpty, look])
    clearTimeout(timer)
    if (!isMoving) return false
    if ((await Promise.race([isEmpty, null])) === true) return true
  }
}
