import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '@opsledger/testing'
import type { Arena } from '../arena/arena.ts'
import type { HandState, Worker } from '../arena/crew.ts'
import type { Job } from '../arena/messages.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'

const DAY_MS = 24 * 60 * 60 * 1_000
const COOLDOWN_MS = 60_000
/** This is about clocks: a machine that is too busy for a short lease would change verdicts as well. In ms. */
const LEASE_MS = 15_000
/** Asked again this often, in ms, where an answer says: later. */
const ASK_AGAIN_MS = 100
const LOOK_EVERY_MS = 5
/** Scripts per database, all of them played at once. */
const SCRIPTS_PER_ROUND = 50
/** More than any script can need. */
const MAX_ASKS = 100_000
/** What another delivery is to meet must still be under way when it comes. */
const HANDLER_MS = { met: 1_500, alone: 5 }

/** One delivery of a script: which of the two workers gets it, and how its handler ends. */
interface Step {
  readonly worker: 0 | 1
  readonly deliveryId: string
  readonly attempt: number
  readonly job: Pick<Job, 'failures' | 'ending' | 'handlerMs'>
  /** The next step is sent while this one still executes. */
  readonly isLeftRunning: boolean
}

interface Script {
  readonly work: string
  readonly cooldownMs: number
  readonly steps: readonly Step[]
}

/** Wall clocks of workers that are a day fast and a day slow: the same deliveries must meet the same verdicts. */
export const clockSkew: Fault = {
  name: 'clock-skew',
  title: 'worker clocks are wrong by 24 h, fast and slow',
  injections: { short: 100, long: 1_000 },
  async run(trial) {
    const rulings: Ruling[] = []
    const complaints: string[] = []
    let sections = 0
    let compared = 0
    for (let round = 0; sections < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      // A script brings about three sections.
      const wanted = Math.min(SCRIPTS_PER_ROUND, Math.ceil((trial.injections - sections) / 2.5))
      const scripts = Array.from({ length: wanted }, (_, n) => makeScript(random, `c${round}/${n}`))
      const [right, wrong] = await Promise.all(
        [
          [0, 0],
          [DAY_MS, -DAY_MS],
        ].map(async (skews) => {
          await using arena = await trial.openArena()
          const beganAt = await clockOf(arena)
          const crew = await Promise.all(
            skews.map((clockSkewMs) => arena.hire({ clockSkewMs, leaseMs: LEASE_MS })),
          )
          await Promise.all(scripts.map((script, n) => play(script, n, crew)))
          const endedAt = await clockOf(arena)
          const evidence = await arena.finish()
          const cooldowns = new Map(scripts.map((script) => [script.work, script.cooldownMs]))
          const ruling = trial.judge(evidence, {
            cooldownMs: (work) => cooldowns.get(work)!,
            expectedCodes: [],
          })
          rulings.push(ruling)
          complaints.push(...strangeTimes(ruling, beganAt, endedAt))
          return ruling
        }),
      )
      for (const { work } of scripts) {
        const [expected, seen] = [verdictsOf(right!, work), verdictsOf(wrong!, work)]
        compared += expected.length
        if (expected.join() === seen.join()) continue
        complaints.push(
          `${work}: ${expected.join(', ')} with right clocks; ${seen.join(', ')} with wrong ones`,
        )
      }
      sections += wrong!.sections.length
      trial.say(`${sections} sections with wrong clocks, ${compared} verdicts compared`)
    }
    const figures = { 'verdicts compared, one by one': compared, 'lease here, ms': LEASE_MS }
    return { injections: sections, rulings, figures, complaints }
  },
}

/** Deliveries of one work: refusals, retries and late repetitions, in an order that the seed chooses. */
function makeScript(random: Random, work: string): Script {
  const cooldownMs = random.below(3) === 0 ? 0 : COOLDOWN_MS
  const steps: Step[] = []
  let deliveries = 0
  const other = (worker: 0 | 1) => (1 - worker) as 0 | 1
  for (let phase = 0; phase < 3; phase++) {
    const worker = random.below(2) as 0 | 1
    const deliveryId = `${work}#${++deliveries}`
    const failures = random.below(3)
    const ending = random.below(4) === 0 ? 'fails' : 'returns'
    for (let attempt = 1; attempt <= failures + 1; attempt++) {
      const isLeftRunning = random.below(3) === 0
      const job = { failures, ending, handlerMs: isLeftRunning ? HANDLER_MS.met : HANDLER_MS.alone } as const
      const step = { worker, deliveryId, attempt, job, isLeftRunning }
      steps.push(step)
      if (isLeftRunning) {
        // Somebody else's dispatch of the same work, while it executes.
        const second = `${work}#${++deliveries}`
        steps.push({ ...step, worker: other(worker), deliveryId: second, isLeftRunning: false })
      }
    }
    // The same delivery again, after its end, at the other worker.
    if (random.below(2) === 0) {
      const job = { failures, ending, handlerMs: HANDLER_MS.alone } as const
      steps.push({ worker: other(worker), deliveryId, attempt: failures + 1, job, isLeftRunning: false })
    }
  }
  return { work, cooldownMs, steps }
}

/** Past the queue: each delivery is sent when the one before has been answered, or executes. */
async function play(script: Script, number: number, crew: readonly Worker[]): Promise<void> {
  const { work, cooldownMs, steps } = script
  const base = { work, cooldownMs, tenantId: 't', maxAttempts: 4, blockMs: 0 }
  let hand = MAX_ASKS * number
  let running: HandState | null = null
  for (const { worker, deliveryId, attempt, job, isLeftRunning } of steps) {
    for (;;) {
      const state = give(crew[worker]!, ++hand, { ...base, ...job, deliveryId, attempt })
      await until(() => state.toldQueue !== null || (isLeftRunning && state.phase === 'started'))
      if (state.toldQueue?.kind === 'delay') {
        // The lock is busy while it is being let go of: no verdict yet.
        await sleep(ASK_AGAIN_MS)
        continue
      }
      if (isLeftRunning && state.toldQueue === null) running = state
      break
    }
    if (!isLeftRunning) {
      await until(() => running === null || running.toldQueue !== null)
      running = null
    }
  }
}

function give(worker: Worker, hand: number, job: Job): HandState {
  worker.take(hand, job)
  return worker.hands.get(hand)!
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(LOOK_EVERY_MS)
}

/** What the deliveries of this work were told, in order. */
function verdictsOf({ answers, sections }: Ruling, work: string): string[] {
  const byFence = new Map(sections.map((section) => [section.fence, section]))
  return answers.flatMap(({ deliveryId, answer, work: itsWork }) => {
    if (itsWork !== work) return []
    if (answer.kind === 'unavailable') return [`${deliveryId} ${answer.code}`]
    if (answer.kind === 'skipped') {
      if (answer.reason === 'lock_busy') return []
      return [`${deliveryId} ${answer.reason} ${answer.action} for ${answer.holder?.deliveryId}`]
    }
    const section = byFence.get(answer.fence)
    return [`${deliveryId} executed attempt ${section?.attempt}, ${section?.ending}, ${answer.settlement}`]
  })
}

async function clockOf({ pool }: Arena): Promise<number> {
  const { rows } = await pool.query('select extract(epoch from clock_timestamp())::float8 * 1000 as now')
  return rows[0].now
}

/** A holder is told with the time since when it holds: by the database's clock, whoever says it. */
function strangeTimes({ answers }: Ruling, beganAt: number, endedAt: number): string[] {
  return answers.flatMap(({ answer, deliveryId }) => {
    if (answer.kind !== 'skipped' || answer.holder === null) return []
    const since = new Date(answer.holder.since).getTime()
    if (since >= beganAt - 1 && since <= endedAt + 1) return []
    return [`${deliveryId} was told of a holder since ${new Date(since).toISOString()}`]
  })
}
