import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EmbeddedServer, type Nanos, nanos, type Random, startEmbeddedServer } from '@opsledger/testing'
import pg from 'pg'
import { type Arena, CHAOS_LEASE_MS } from '../arena/arena.ts'
import type { Worker } from '../arena/crew.ts'
import { cooldownOf, makeJobs } from '../arena/jobs.ts'
import type { Job } from '../arena/messages.ts'
import type { Queue } from '../arena/queue.ts'
import { type Blackhole, missingForNetwork, openNetwork, type RemoteHost } from '../devices/network.ts'
import type { Fault } from '../fault.ts'
import type { Ruling } from '../oracle/judge.ts'

const BLACKHOLES: readonly Blackhole[] = ['both', 'to-server', 'to-client']
const LOST: Readonly<Record<Blackhole, string>> = {
  both: 'packets lost in both directions',
  'to-server': 'packets to the server lost',
  'to-client': 'packets to the host lost',
}
/** In the short form each direction once in each mode; in the long one more session mode, which takes longer. */
const HOSTS = {
  short: ['session', 'session', 'session', 'lease', 'lease', 'lease'],
  long: ['session', 'session', 'session', 'session', 'session', 'session', 'lease', 'lease', 'lease'],
  // Where nobody aborts, a lease shows it within seconds.
  mutant: ['lease', 'lease', 'lease'],
} as const
/** Cuts of every host per database: the queue runs empty and the judge looks before the next. */
const ROUNDS_PER_ARENA = 6
/** Handlers of each host that would outlast every cut, if nobody stopped them. */
const LONG_WORKS = 3
const LONG_HANDLER_MS = { session: 16_000, lease: 6_000 } as const
/** Deliveries that are on their way in or out when the packets stop. */
const PASSING_WORKS = 6
const PASSING_HANDLER_MS = 10
const MAX_PAUSE_MS = 15
/** How long somebody else's handler takes for the same work, in ms. */
const AGAIN_HANDLER_MS = 20

/**
 * What the lock session asks of the server: keepalives after 5 s and every 2 s, and an end when nothing was
 * acknowledged for 10 s. The probe that finds this out is the one after 11 s. The rest is for a busy machine.
 */
const LOCK_FREE_WITHIN_MS = 12_500
/** A handler hears of it before the lease runs out; a busy machine may be late, and the judge looks at who was first. */
const ABORT_WITHIN_MS = CHAOS_LEASE_MS + 500
/** Twice the documented time: who has not got it by then never will. */
const TAKE_OVER_WITHIN_MS = 2 * LOCK_FREE_WITHIN_MS
const DISMISS_WITHIN_MS = 60_000

/** One host whose packets were dropped. */
interface Cut {
  readonly pid: number
  readonly exclusion: 'session' | 'lease'
  readonly blackhole: Blackhole
  readonly from: Nanos
  readonly until: Nanos
  /** When the last of its locks was free; null where it had none. */
  readonly freedAt: Nanos | null
}

interface Seen {
  readonly abortMs: number[]
  /** From the abort until somebody else started. */
  readonly marginMs: number[]
  readonly takenMs: Record<Remote['exclusion'], number[]>
}

/** A worker on a host of its own. */
interface Remote {
  readonly host: RemoteHost
  readonly worker: Worker
  readonly exclusion: 'session' | 'lease'
}

/** Packets between a worker and Postgres are dropped, while the worker runs on and others ask for its work. */
export const networkBlackhole: Fault = {
  name: 'network-blackhole',
  title: 'a network blackhole (to the server, to the client, both)',
  injections: { short: 6, long: 200 },
  missing: ({ restart }) =>
    restart === null
      ? 'a server of a given URL has no address in the namespaces that this fault makes'
      : missingForNetwork(),
  async run(trial) {
    const modes = HOSTS[trial.mutant !== null ? 'mutant' : trial.isLong ? 'long' : 'short']
    const injections = trial.mutant !== null ? modes.length : trial.injections
    await using network = await openNetwork(modes.length)
    await using server = await startServerFor(network.serverAddress, network.range)
    const rulings: Ruling[] = []
    const complaints: string[] = []
    const cuts: Cut[] = []
    const seen: Seen = { abortMs: [], marginMs: [], takenMs: { session: [], lease: [] } }
    const readmissionMs: number[] = []
    for (let part = 0; cuts.length < injections; part++) {
      const random = trial.random.fork(`part ${part}`)
      await using arena = await trial.openArena({ serverUrl: server.url })
      await using _ = { [Symbol.asyncDispose]: () => endCutOff(arena, network.range) }
      const address = new URL(arena.url)
      address.hostname = network.serverAddress
      const remotes: Remote[] = await Promise.all(
        network.hosts.map(async (host, n) => {
          const exclusion = modes[n]!
          const worker = await host.startInside(() => arena.hire({ url: address.href, exclusion }))
          host.assertInside(worker.process.pid)
          arena.queue.detach(worker)
          return { host, worker, exclusion }
        }),
      )
      const contenders = [await arena.hire(), await arena.hire({ exclusion: 'lease' })]
      for (const contender of contenders) arena.queue.detach(contender)
      const jobs: Job[] = []
      const here: Cut[] = []
      for (let round = 0; round < ROUNDS_PER_ARENA && cuts.length + here.length < injections; round++) {
        const name = `b${part}.${round}`
        here.push(...(await cutEverybody({ arena, remotes, contenders, random, name, jobs, complaints })))
        trial.say(`${cuts.length + here.length} cuts`)
      }
      cuts.push(...here)
      await arena.queue.below(1)
      await arena.crew.dismiss(DISMISS_WITHIN_MS)
      await endHalfOpen(arena.pool, network.range)
      const ruling = trial.judge(await arena.finish(), { cooldownMs: cooldownOf(jobs), losesReplies: true })
      rulings.push(ruling)
      for (const cut of here) readmissionMs.push(...look(cut, ruling, seen, complaints))
    }
    for (const { exclusion, freedAt, from, blackhole } of cuts) {
      const freedMs = freedAt === null ? null : msBetween(from, freedAt)
      if (exclusion === 'session' && (freedMs === null || freedMs > LOCK_FREE_WITHIN_MS)) {
        const when = freedMs === null ? 'was not seen' : `came only after ${Math.round(freedMs)} ms`
        complaints.push(`the end of the advisory locks of a cut-off host ${when} (${LOST[blackhole]})`)
      }
    }
    const freed = (blackhole: Blackhole) =>
      cuts.flatMap((cut) =>
        cut.blackhole === blackhole && cut.freedAt !== null ? [msBetween(cut.from, cut.freedAt)] : [],
      )
    const figures = {
      'from the cut to the abort of the handler (median / max)': medianAndMax(seen.abortMs),
      'from the abort to the start of another worker, at least': `${Math.round(Math.min(...seen.marginMs))} ms`,
      'from the cut to the start of another worker, session mode (median / max)': medianAndMax(
        seen.takenMs.session,
      ),
      'from the cut to the start of another worker, lease mode (median / max)': medianAndMax(
        seen.takenMs.lease,
      ),
      ...Object.fromEntries(
        BLACKHOLES.map((one) => [
          `from the cut until the server has let go of the host's advisory locks, ${LOST[one]} (median / max)`,
          medianAndMax(freed(one)),
        ]),
      ),
    }
    return { injections: cuts.length, rulings, readmissionMs, complaints, figures }
  },
}

/** A Postgres of this fault's own, which listens where the hosts can reach it. */
async function startServerFor(address: string, range: string): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({
    settings: { listen_addresses: `127.0.0.1,${address}`, max_connections: '300' },
  })
  await appendFile(join(server.folder, 'data', 'pg_hba.conf'), `host all all ${range} scram-sha-256\n`)
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query('select pg_reload_conf()')
  await client.end()
  return server
}

/** A cut that is under way, and the server's processes that held the host's locks when it began. */
interface Begun {
  readonly blackhole: Blackhole
  readonly from: Nanos
  readonly locks: readonly number[]
}

interface Round {
  readonly arena: Arena
  readonly remotes: readonly Remote[]
  readonly contenders: readonly Worker[]
  readonly random: Random
  readonly name: string
  readonly jobs: Job[]
  readonly complaints: string[]
}

/** Cuts off every host while it executes; others get the same deliveries at once; each host is healed when they have them. */
async function cutEverybody({
  arena,
  remotes,
  contenders,
  random,
  name,
  jobs,
  complaints,
}: Round): Promise<Cut[]> {
  const { queue, pool } = arena
  const giveTo = (worker: Worker, mix: { name: string; works: number; handlerMs: number }) => {
    const given = makeJobs(random, { ...mix, duplicatesInTen: 0, failures: false })
    jobs.push(...given)
    queue.attach(worker)
    queue.add(given)
    queue.detach(worker)
    return given
  }
  const long = remotes.map(({ worker, exclusion }, n) =>
    giveTo(worker, { name: `${name}.${n}.long`, works: LONG_WORKS, handlerMs: LONG_HANDLER_MS[exclusion] }),
  )
  await until(queue, () =>
    remotes.every(({ worker }) => [...worker.hands.values()].every(({ phase }) => phase === 'started')),
  )
  const offset = random.below(BLACKHOLES.length)
  const begun: Begun[] = []
  for (const [n, { host, worker }] of remotes.entries()) {
    giveTo(worker, { name: `${name}.${n}.passing`, works: PASSING_WORKS, handlerMs: PASSING_HANDLER_MS })
    await sleep(random.next() * MAX_PAUSE_MS)
    const locks = await lockSessionsOf(pool, worker)
    const blackhole = BLACKHOLES[(n + offset) % BLACKHOLES.length]!
    const from = nanos()
    await host.cut(blackhole)
    begun.push({ blackhole, from, locks })
  }
  for (const contender of contenders) queue.attach(contender)
  // As a queue whose visibility timeout has run out: it gives to others what it hears nothing of.
  for (const { worker } of remotes) {
    queue.add([...worker.hands.values()].map(({ job }) => ({ ...job, handlerMs: AGAIN_HANDLER_MS })))
  }
  const cuts = await Promise.all(
    remotes.map(async ({ host, worker, exclusion }, n): Promise<Cut> => {
      const { blackhole, from, locks } = begun[n]!
      const [freedAt, isTaken] = await Promise.all([
        locks.length === 0 ? null : whenFree(arena, locks),
        until(
          queue,
          () => long[n]!.every(({ deliveryId }) => queue.records.get(deliveryId)!.isComplete),
          TAKE_OVER_WITHIN_MS,
        ),
      ])
      if (!isTaken) {
        complaints.push(`${name}: nobody took over what was cut off (${blackhole}, ${exclusion})`)
        // So that the run comes to an end.
        await pool.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [locks])
      }
      const healedAt = nanos()
      await host.heal()
      return { pid: worker.process.pid, exclusion, blackhole, from, until: healedAt, freedAt }
    }),
  )
  await queue.below(1)
  for (const contender of contenders) queue.detach(contender)
  return cuts
}

/** The server's processes that hold the locks of what this worker executes. */
async function lockSessionsOf(pool: pg.Pool, worker: Worker): Promise<number[]> {
  const { rows } = await pool.query<{ pid: number }>(
    `select distinct l.pid from opsledger.job_claim c join opsledger.worker_lease w on w.id = c.worker_id
     join pg_locks l on l.locktype = 'advisory' and l.granted and l.objsubid = 1
       and l.database = (select oid from pg_database where datname = current_database())
       and (l.classid::bigint << 32 | l.objid::bigint) = c.lock_key
     join pg_stat_activity a on a.pid = l.pid and a.application_name = 'opsledger locks'
     where c.state = 'held' and w.pid = $1`,
    [worker.process.pid],
  )
  return rows.map(({ pid }) => pid)
}

const LOOK_EVERY_MS = 100

/** When none of these holds a lock any more. */
async function whenFree({ pool, queue }: Arena, backends: readonly number[]): Promise<Nanos | null> {
  const isFree = async () => {
    const { rows } = await pool.query(
      `select from pg_locks where locktype = 'advisory' and granted and pid = any ($1::int[]) limit 1`,
      [backends],
    )
    return rows.length === 0
  }
  return (await until(queue, isFree, TAKE_OVER_WITHIN_MS)) ? nanos() : null
}

/** Whether it came to be so in time. @throws why the queue was abandoned: an interrupted fault waits for nothing */
async function until(
  queue: Queue,
  isSo: () => boolean | Promise<boolean>,
  withinMs = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  const giveUpAt = performance.now() + withinMs
  // An abandoned queue throws at whoever asks for its size.
  while (queue.size >= 0 && performance.now() < giveUpAt) {
    if (await isSo()) return true
    await sleep(LOOK_EVERY_MS)
  }
  return false
}

/**
 * Connections that a cut-off worker had to give up: it closed them, and nobody could tell the server. Those for work
 * are the server's own to find out about; a lock session is not among them, the library sees to that.
 */
async function endHalfOpen(pool: pg.Pool, range: string): Promise<void> {
  await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name <> 'opsledger locks' and client_addr <<= $1::cidr`,
    [range],
  )
}

/**
 * So that the database of an interrupted part can be dropped: a login that was cut off halfway waits for its client, up to
 * a minute, and the drop waits for the login. It is in no database yet, so it is looked for by its address alone.
 */
async function endCutOff({ crew, pool }: Arena, range: string): Promise<void> {
  await Promise.all(crew.workers.map((worker) => worker.kill()))
  await pool.query('select pg_terminate_backend(pid) from pg_stat_activity where client_addr <<= $1::cidr', [
    range,
  ])
}

/** The rules of this fault; answers with how long it took until the same work executed again, in ms. */
function look(cut: Cut, { sections }: Ruling, seen: Seen, complaints: string[]): number[] {
  const takenMs: number[] = []
  for (const section of sections) {
    if (section.pid !== cut.pid || section.startedAt > cut.from || !section.work.includes('.long/')) continue
    if (section.endedAt !== null && section.endedAt < cut.from) continue
    const what = `${section.work} under fence ${section.fence} (${cut.blackhole}, ${cut.exclusion})`
    if (section.ending !== 'stopped' || section.endedAt === null) {
      complaints.push(`the handler of ${what} was not stopped: ${section.ending}`)
      continue
    }
    const abortMs = msBetween(cut.from, section.endedAt)
    seen.abortMs.push(abortMs)
    if (abortMs > ABORT_WITHIN_MS) {
      complaints.push(`the signal of ${what} aborted ${Math.round(abortMs)} ms after the packets stopped`)
    }
    const next = sections
      .filter((later) => later.work === section.work && later.startedAt > section.startedAt)
      .sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1))[0]
    if (next === undefined) {
      complaints.push(`${what} was executed by nobody else`)
      continue
    }
    takenMs.push(msBetween(cut.from, next.startedAt))
    seen.takenMs[cut.exclusion].push(msBetween(cut.from, next.startedAt))
    seen.marginMs.push(msBetween(section.endedAt, next.startedAt))
    if (next.startedAt > cut.until) complaints.push(`${what} was taken over only after the network was back`)
  }
  return takenMs
}

const msBetween = (from: Nanos, to: Nanos) => Number(to - from) / 1_000_000

function medianAndMax(values: readonly number[]): string {
  if (values.length === 0) return '–'
  const inOrder = values.toSorted((a, b) => a - b)
  return `${Math.round(inOrder[inOrder.length >> 1]!)} / ${Math.round(inOrder.at(-1)!)} ms`
}
