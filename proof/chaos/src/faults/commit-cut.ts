import { CHAOS_LEASE_MS } from '../arena/arena.ts'
import type { Worker } from '../arena/crew.ts'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Job } from '../arena/messages.ts'
import { type LostReply, openReplyThief, type ReplyThief, type StolenCall } from '../devices/reply-thief.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'

/** Each behind a proxy of its own, two by session and one by lease. */
const WORKERS = 3
/** Lost replies per database: the queue runs empty and the judge looks before the next. */
const INJECTIONS_PER_ROUND = 200
const WORKS_AT_ONCE = 60
const HANDLER_MS = 30
/**
 * Of this many lost replies one is followed by silence instead of a closed connection. Few, because the caller then
 * waits until its statement's time is up: half a lease, at least a second, on the lock session, eight on the others.
 */
const ONE_SILENT_IN = 25
const CALL_TIMEOUT_MS = 8_000
/** What a busy machine may add, in ms. */
const GRACE_MS = 500
/** Two silences one after the other are longer than the ten seconds of the other faults. */
const ADMISSION_TIMEOUT_MS = 60_000

/** The reply of an admission or of a settlement is lost after the statement has committed. */
export const commitCut: Fault = {
  name: 'commit-cut',
  title: 'the reply of a commit is lost (admission or settlement)',
  injections: { short: 60, long: 1_000 },
  async run(trial) {
    const rulings: Ruling[] = []
    const complaints: string[] = []
    const readmissionMs: number[] = []
    const afterSilenceMs: number[] = []
    const lost: LostReply[] = []
    const found = { orphans: 0, confirmed: 0 }
    let injected = 0
    for (let round = 0; injected < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      const wanted = Math.min(INJECTIONS_PER_ROUND, trial.injections - injected)
      await using arena = await trial.openArena()
      const { queue } = arena
      await using stack = new AsyncDisposableStack()
      const crew: { worker: Worker; thief: ReplyThief }[] = []
      for (let n = 0; n < WORKERS; n++) {
        const thief = stack.use(await openReplyThief(arena.url))
        const settings = {
          url: thief.url,
          exclusion: n === 0 ? 'lease' : 'session',
          admissionTimeoutMs: ADMISSION_TIMEOUT_MS,
          settlementTimeoutMs: ADMISSION_TIMEOUT_MS,
        } as const
        crew.push({ worker: await arena.hire(settings), thief })
      }
      const jobs: Job[] = []
      const over = Promise.withResolvers<void>()
      let isOver = false
      const feed = async () => {
        while (!isOver) {
          const mix = { name: `c${round}.${jobs.length}`, works: WORKS_AT_ONCE, handlerMs: HANDLER_MS }
          const more = makeJobs(random, mix)
          jobs.push(...more)
          queue.add(more)
          await Promise.race([queue.below(WORKS_AT_ONCE), over.promise])
        }
      }
      const losses: LostReply[] = []
      const feeding = feed()
      await Promise.all(
        crew.map(async ({ worker, thief }, n) => {
          const choice = random.fork(`thief ${n}`)
          const share = Math.ceil((wanted - n) / WORKERS)
          for (let loss = 0; loss < share; loss++) {
            const call = choice.pick<StolenCall>(['admit', 'settle'])
            // Enough of it in the long form; in the short one a single one, of an admission by the lock session.
            const isSilent = trial.isLong ? choice.below(ONE_SILENT_IN) === 0 : n === 1 && loss === share - 1
            const how = isSilent ? 'drop' : 'cut'
            losses.push(await thief.steal(isSilent && !trial.isLong ? 'admit' : call, how))
            // Often what comes next is the same statement again, and sometimes its reply is lost as well.
            if (choice.below(3) > 0) await worker.nextPhase('settling')
          }
        }),
      )
      isOver = true
      over.resolve()
      await feeding
      const evidence = await arena.finish()
      const ruling = trial.judge(evidence, {
        cooldownMs: cooldownOf(jobs),
        expectedCodes: [],
        losesReplies: true,
      })
      const executed = new Set(ruling.sections.map(({ fence }) => fence))
      for (const run of evidence.ledger.runs) {
        // Admitted, as the ledger says, and by nobody ever executed.
        found.orphans += run.history.filter((past) => !executed.has(past.fence)).length
      }
      injected += losses.length
      rulings.push(ruling)
      lost.push(...losses)
      for (const loss of losses) {
        if (loss.fences.length + loss.deliveryIds.length === 0) {
          complaints.push(`a lost reply (${loss.call}, ${loss.how}) could not be read: nothing was checked`)
        }
        if (loss.call === 'settle') found.confirmed += checkSettlements(loss, ruling, complaints)
        else {
          const waits = loss.how === 'cut' ? readmissionMs : afterSilenceMs
          waits.push(...checkAdmissions(loss, losses, ruling, complaints))
        }
      }
      complaints.push(...blocked(ruling))
      trial.say(`${injected} replies lost, ${found.orphans} claims orphaned, ${found.confirmed} confirmed`)
    }
    if (found.orphans === 0) complaints.push('no claim was ever orphaned')
    if (found.confirmed === 0) complaints.push('no settlement was ever confirmed')
    const figures = {
      'replies of admissions lost': lost.filter(({ call }) => call === 'admit').length,
      'replies of settlements lost': lost.filter(({ call }) => call === 'settle').length,
      'followed by silence instead of a closed connection': lost.filter(({ how }) => how === 'drop').length,
      'admitted after a silence within at most': `${Math.round(Math.max(0, ...afterSilenceMs))} ms`,
      'orphaned claims taken over': found.orphans,
      'settlements confirmed when sent again': found.confirmed,
    }
    return { injections: injected, rulings, readmissionMs, complaints, figures }
  },
}

/** Everything in it was settled, so every caller must be told that when it asks again; answers with how many were. */
function checkSettlements({ fences, how }: LostReply, { answers }: Ruling, complaints: string[]): number {
  let confirmed = 0
  for (const fence of fences) {
    const told = answers.find(({ answer }) => answer.kind === 'executed' && answer.fence === fence)
    if (told?.answer.kind === 'executed' && told.answer.settlement === 'already_settled') confirmed++
    else {
      complaints.push(
        `fence ${fence}, whose settlement lost its reply (${how}), was told ${JSON.stringify(told?.answer)}`,
      )
    }
  }
  return confirmed
}

/** Each delivery is in one hand at a time: held by itself it was held by an orphan, which nobody may wait for. */
function blocked({ answers }: Ruling): string[] {
  return answers.flatMap(({ answer, deliveryId }) => {
    if (answer.kind === 'unavailable') return [`${deliveryId} was told ${answer.code}`]
    const isBlocked =
      answer.kind === 'skipped' && answer.reason === 'overlap' && answer.holder?.deliveryId === deliveryId
    return isBlocked ? [`${deliveryId} was refused for its own orphan, fence ${answer.holder?.fence}`] : []
  })
}

/**
 * What an admission asked for must not have to wait for the lease that its orphaned claim is held under: it executes,
 * or is told why not. Answers with how long it took until it executed, in ms.
 */
function checkAdmissions(
  { deliveryIds, at, how }: LostReply,
  losses: readonly LostReply[],
  { sections, answers }: Ruling,
  complaints: string[],
): number[] {
  const withinMs = (how === 'cut' ? CHAOS_LEASE_MS : CALL_TIMEOUT_MS) + GRACE_MS
  const waits: number[] = []
  for (const deliveryId of deliveryIds) {
    const started = sections.find((one) => one.deliveryId === deliveryId && one.startedAt > at)?.startedAt
    const told = answers.find((one) => one.deliveryId === deliveryId && one.at > at)?.at
    const known = [started, told].filter((one) => one !== undefined).sort((a, b) => (a < b ? -1 : 1))[0]
    // Asked again, and that reply was lost as well: the time runs from there.
    const isLostAgain = losses.some(
      (later) =>
        later.at > at && (known === undefined || later.at < known) && later.deliveryIds.includes(deliveryId),
    )
    if (isLostAgain) continue
    const afterMs = known === undefined ? Number.POSITIVE_INFINITY : Number(known - at) / 1_000_000
    if (afterMs > withinMs) {
      complaints.push(`${deliveryId} was answered ${afterMs} ms after its admission lost its reply (${how})`)
    }
    if (started !== undefined && started === known) waits.push(afterMs)
  }
  return waits
}
