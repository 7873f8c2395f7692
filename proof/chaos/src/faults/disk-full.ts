import { setTimeout as sleep } from 'node:timers/promises'
import { type Nanos, nanos } from '@opsledger/testing'
import pg from 'pg'
import type { Evidence } from '../arena/arena.ts'
import { CHAOS_LEASE_MS } from '../arena/arena.ts'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Job } from '../arena/messages.ts'
import { openSmallDisk, whyNoSmallDisk } from '../devices/small-disk.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'
import type { Answered } from '../oracle/sections.ts'

const WORKERS = 3
/** An empty database takes about 8 MB. */
const DISK_MEGABYTES = 32
/** Fills per database: the queue runs empty and the judge looks before the next. */
const FILLS_PER_ROUND = 5
/** More rows than fit into the free space of the pages that the tables already have. */
const WORKS_PER_FILL = 80
/** How long the disk stays full, in ms: settlements of what was admitted before meet it as well. */
const FULL_FOR_MS = { from: 500, to: 4_000 }
/** Shorter than the disk is full: what is waited for and comes through would leave no trace that it met the fault. */
const IMPATIENT = { admissionTimeoutMs: 300, settlementTimeoutMs: 300 }
const DISK_FULL = '53100'

/** The disk under the ledger is full, and has room again later. */
export const diskFull: Fault = {
  name: 'disk-full',
  title: 'the disk is full (tablespace on a small file system)',
  injections: { short: 1, long: 20 },
  missing: (site) =>
    site.restart === null ? "the disk of somebody else's server is not filled" : whyNoSmallDisk(),
  async run(trial) {
    const rulings: Ruling[] = []
    const complaints: string[] = []
    let fills = 0
    let refused = 0
    let surfaced = 0
    await using disk = await openSmallDisk(trial.site.url, DISK_MEGABYTES)
    for (let round = 0; fills < trial.injections; round++) {
      const random = trial.random.fork(`round ${round}`)
      await using arena = await trial.openArena()
      await moveTo(disk.tablespace, trial.site.url, arena.url)
      for (let n = 0; n < WORKERS; n++)
        await arena.hire({ exclusion: n === 0 ? 'lease' : 'session', ...IMPATIENT })
      const jobs: Job[] = []
      const full: { from: Nanos; until: Nanos }[] = []
      for (let fill = 0; fill < Math.min(FILLS_PER_ROUND, trial.injections - fills); fill++) {
        const added = makeJobs(random, { name: `d${round}/${fill}`, works: WORKS_PER_FILL, handlerMs: 200 })
        jobs.push(...added)
        const fullForMs = FULL_FOR_MS.from + random.next() * (FULL_FOR_MS.to - FULL_FOR_MS.from)
        arena.queue.add(added.slice(0, added.length / 4))
        await Promise.race([random.pick(arena.crew.workers).nextPhase('started'), sleep(2_000)])
        disk.fill()
        const from = nanos()
        arena.queue.add(added.slice(added.length / 4))
        await sleep(fullForMs)
        disk.free()
        full.push({ from, until: nanos() })
        await arena.queue.below(1)
      }
      // What was kept is sent again once per lease.
      await sleep(2 * CHAOS_LEASE_MS)
      const evidence = await arena.finish()
      const wasFull = ({ askedAt, at }: Answered) =>
        full.some(({ from, until }) => askedAt < until && at > from)
      // An admission that is refused with the server's own words is what is to be seen here.
      const isNoSpace = ({ answer }: Answered) =>
        answer.kind === 'unavailable' && answer.sqlState === DISK_FULL
      const ruling = trial.judge(evidence, {
        cooldownMs: cooldownOf(jobs),
        expectedCodes: [],
        mayMeet: (answered) => isNoSpace(answered) && wasFull(answered),
        mayBeUnconfirmed: wasFull,
      })
      rulings.push(ruling)
      complaints.push(...notSettledLater(ruling, evidence))
      const met = ruling.answers.filter(({ answer }) =>
        answer.kind === 'unavailable'
          ? answer.sqlState === DISK_FULL
          : answer.kind === 'executed' && answer.settlement === 'unconfirmed',
      )
      refused += met.filter(({ answer }) => answer.kind === 'unavailable').length
      surfaced += met.filter(({ answer }) => answer.kind === 'executed').length
      // A full disk that nobody met was none.
      fills += full.filter(({ from, until }) => met.some(({ at }) => at > from && at < until)).length
      trial.say(`${fills} times full, ${refused} admissions refused, ${surfaced} settlements unconfirmed`)
      if (round > trial.injections) throw new Error('The full disk is met by nobody')
    }
    const figures = {
      'admissions refused': refused,
      'settlements answered unconfirmed': surfaced,
    }
    return { injections: fills, rulings, figures, complaints }
  },
}

/** All of the database, before anybody connects to it. */
async function moveTo(tablespace: string, serverUrl: string, url: string): Promise<void> {
  const admin = new pg.Client(serverUrl)
  await admin.connect()
  try {
    await admin.query(`alter database ${new URL(url).pathname.slice(1)} set tablespace ${tablespace}`)
  } finally {
    await admin.end()
  }
}

/** What was answered `unconfirmed` is in the ledger in the end, or a later attempt is. */
function notSettledLater({ sections, answers }: Ruling, { ledger }: Evidence): string[] {
  const shown = new Map(ledger.runs.map((run) => [run.id, run]))
  const byFence = new Map(sections.map((section) => [section.fence, section]))
  return answers.flatMap(({ answer }) => {
    if (answer.kind !== 'executed' || answer.settlement !== 'unconfirmed') return []
    const section = byFence.get(answer.fence)
    if (section === undefined) return []
    const run = shown.get(section.runId)
    const isShown =
      (run?.fence === answer.fence && run.status === 'completed' && run.reasonCode !== 'worker.lost') ||
      run?.history.some((past) => past.fence === answer.fence && past.outcome !== 'lost')
    const isLater = sections.some((one) => one.work === section.work && one.fence > answer.fence)
    return isShown || isLater
      ? []
      : [`the settlement of fence ${answer.fence} of ${section.work} was never made up for`]
  })
}
