import { setTimeout as sleep } from 'node:timers/promises'
import { catalogOf, type ProcessExit, type Random, startWorker, type WorkerProcess } from '@opsledger/testing'
import pg from 'pg'
import type { Fault } from '../fault.ts'
import type { MigratingAnswer } from './migrating-process.ts'

const PROCESSES = 20
/** Of the processes of a round, so many are killed. */
const KILLS = { from: 1, to: 6 }
/** From the start of a round to a kill, in ms: a migration alone takes about a hundred. */
const KILL_WITHIN_MS = 250
const READY_WITHIN_MS = 60_000
/** One that has not answered by then waits for a lock that nobody lets go, in ms. */
const ANSWER_WITHIN_MS = 60_000
const PROCESS_FILE = new URL('./migrating-process.ts', import.meta.url)
let databases = 0

/** Twenty processes of a new release start at once and migrate the same empty database; some do not live to see it. */
export const migrationStampede: Fault = {
  name: 'migration-stampede',
  title: `${PROCESSES} processes migrate at once, some are killed`,
  injections: { short: 1, long: 50 },
  async run(trial) {
    const complaints: string[] = []
    let kills = 0
    let survivors = 0
    let rounds = 0
    await using crew = createMigrators(trial.mutant)
    const expected = await inNewDatabase(trial.site.url, async (url) => {
      await crew.fill(1)
      const answer = await crew.processes[0]!.migrate(url)
      if (answer === 'killed' || 'error' in answer)
        throw new Error(`A migration alone failed: ${JSON.stringify(answer)}`)
      return catalogAt(url)
    })
    for (; rounds < trial.injections; rounds++) {
      const random = trial.random.fork(`round ${rounds}`)
      await crew.fill(PROCESSES)
      await inNewDatabase(trial.site.url, async (url) => {
        const victims = pickSome(random, PROCESSES, KILLS.from + random.below(KILLS.to - KILLS.from + 1))
        const answers = await Promise.all(
          crew.processes.map(async (process, index) => {
            const killAfterMs = victims.has(index) ? random.next() * KILL_WITHIN_MS : null
            if (killAfterMs === null) return process.migrate(url)
            const answer = process.migrate(url)
            await sleep(killAfterMs)
            await process.kill()
            kills++
            return answer
          }),
        )
        const applied = new Map<string, number>()
        for (const answer of answers) {
          if (answer === 'killed') continue
          if ('error' in answer) complaints.push(`round ${rounds}: a process failed: ${answer.error}`)
          else {
            survivors++
            for (const name of answer.applied) applied.set(name, (applied.get(name) ?? 0) + 1)
          }
        }
        for (const [name, times] of applied) {
          if (times > 1) complaints.push(`round ${rounds}: ${times} processes say that they applied ${name}`)
        }
        const catalog = await catalogAt(url)
        const missing = expected.filter((line) => !catalog.includes(line))
        const extra = catalog.filter((line) => !expected.includes(line))
        if (missing.length + extra.length > 0 || catalog.length !== expected.length) {
          complaints.push(
            `round ${rounds}: the schema has ${catalog.length} parts instead of ${expected.length}; missing: ${missing.join('; ')}; not wanted: ${extra.join('; ')}`,
          )
        }
      })
      if ((rounds + 1) % 10 === 0) trial.say(`${rounds + 1} rounds, ${kills} kills`)
    }
    const figures = {
      'processes killed': kills,
      'processes that found or made the schema': survivors,
      'parts of the schema compared': expected.length,
    }
    return { injections: rounds, rulings: [], figures, complaints }
  },
}

/** Processes that have loaded the library and wait for a database, so that all of them begin at the same moment. */
function createMigrators(mutant: string | null) {
  const processes: Migrator[] = []
  const start = async (): Promise<Migrator> => {
    const child: WorkerProcess = startWorker(PROCESS_FILE, { args: [mutant ?? ''] })
    await child.next((message) => message === 'ready', { withinMs: READY_WITHIN_MS })
    const migrator: Migrator = {
      async migrate(url) {
        child.send({ url })
        try {
          return await child.next<MigratingAnswer>(() => true, { withinMs: ANSWER_WITHIN_MS })
        } catch (error) {
          return isKilled ? 'killed' : { error: String(error) }
        }
      },
      async kill() {
        isKilled = true
        processes.splice(processes.indexOf(migrator), 1)
        return child.kill()
      },
    }
    let isKilled = false
    return migrator
  }
  return {
    processes,
    async fill(size: number) {
      const started = await Promise.all(Array.from({ length: size - processes.length }, start))
      processes.push(...started)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...processes].map((process) => process.kill()))
    },
  }
}

interface Migrator {
  migrate(url: string): Promise<MigratingAnswer | 'killed'>
  kill(): Promise<ProcessExit>
}

function pickSome(random: Random, of: number, count: number): Set<number> {
  const picked = new Set<number>()
  while (picked.size < count) picked.add(random.below(of))
  return picked
}

async function inNewDatabase<T>(serverUrl: string, work: (url: string) => Promise<T>): Promise<T> {
  const name = `opsledger_chaos_stampede_${process.pid}_${++databases}`
  const admin = new pg.Client(serverUrl)
  await admin.connect()
  try {
    await admin.query(`create database ${name}`)
    const address = new URL(serverUrl)
    address.pathname = `/${name}`
    return await work(address.href)
  } finally {
    await admin.query(`drop database if exists ${name} with (force)`)
    await admin.end()
  }
}

async function catalogAt(url: string): Promise<string[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return await catalogOf(client)
  } finally {
    await client.end()
  }
}
