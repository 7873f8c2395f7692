import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExclusionMode } from '@opsledger/dedupe'
import { type Random, readJournal } from '@opsledger/testing'
import pg from 'pg'
import { type Crew, createCrew, type Worker } from './crew.ts'
import type { Mark } from './journal.ts'
import { claimsHeldByLiving, type LedgerPicture, readLedger } from './ledger-picture.ts'
import type { WorkerSettings } from './messages.ts'
import { migrateIn } from './migrate.ts'
import { createQueue, type DeliveryRecord, type Queue } from './queue.ts'

/** Every run with faults has this lease: long enough to be kept by a busy machine, short enough to wait for. */
export const CHAOS_LEASE_MS = 1_500
/** Jobs that a worker executes at once. */
const SLOTS = 12
const DISMISS_WITHIN_MS = 60_000
let databases = 0

export interface ArenaOptions {
  /** The server's own address, past every proxy. */
  readonly serverUrl: string
  readonly random: Random
  readonly mutant: string | null
  readonly slots?: number
}

/** A database of its own, a queue, a crew of worker processes, and the journal they keep. */
export interface Arena {
  /** Address of the database, past every proxy. */
  readonly url: string
  readonly queue: Queue
  readonly crew: Crew
  /** A pool of the observer's, never of the library's. */
  readonly pool: pg.Pool
  hire(settings?: Partial<WorkerSettings>): Promise<Worker>
  /** The queue runs empty, everybody goes home, the stale runs are swept: then nothing may be open any more. */
  finish(): Promise<Evidence>
  [Symbol.asyncDispose](): Promise<void>
}

/** All that a judge may look at. */
export interface Evidence {
  readonly marks: readonly Mark[]
  readonly crew: Pick<Crew, 'interruptions' | 'fallen'>
  /** Of every process that was ever hired, by its id. */
  readonly modes: ReadonlyMap<number, ExclusionMode>
  readonly deliveries: ReadonlyMap<string, DeliveryRecord>
  readonly ledger: LedgerPicture
}

export async function openArena({ serverUrl, random, mutant, slots }: ArenaOptions): Promise<Arena> {
  const name = `opsledger_chaos_${process.pid}_${++databases}`
  const admin = new pg.Pool({ connectionString: serverUrl, max: 1 })
  admin.on('error', () => {})
  await admin.query(`create database ${name}`)
  const address = new URL(serverUrl)
  address.pathname = `/${name}`
  const url = address.href
  const folder = mkdtempSync(join(tmpdir(), 'opsledger-chaos-'))
  await migrateIn(url, mutant)
  const pool = new pg.Pool({ connectionString: url, max: 4, application_name: 'chaos observer' })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const queue = createQueue(random.fork('queue'))
  const hired = createCrew(queue, slots ?? SLOTS)
  let heldByLiving: LedgerPicture['heldByLiving'] | null = null
  const crew: Crew = {
    ...hired,
    async dismiss(withinMs) {
      // Whoever goes home lets go of everything: what it would have kept is seen before.
      heldByLiving ??= await claimsHeldByLiving(pool, hired.workers)
      await hired.dismiss(withinMs)
    },
  }
  const modes = new Map<number, ExclusionMode>()

  return {
    url,
    queue,
    crew,
    pool,
    async hire(settings = {}) {
      const worker = await crew.hire({
        url,
        folder,
        exclusion: 'session',
        throughKysely: false,
        leaseMs: CHAOS_LEASE_MS,
        connections: 4,
        clockSkewMs: 0,
        mutant,
        admissionTimeoutMs: 10_000,
        settlementTimeoutMs: 30_000,
        ...settings,
      })
      modes.set(worker.process.pid, worker.settings.exclusion)
      return worker
    },
    async finish() {
      await queue.below(1)
      await crew.dismiss(DISMISS_WITHIN_MS)
      const ledger = await readLedger(url, pool, heldByLiving ?? [])
      return { marks: readJournal<Mark>(folder), crew, modes, deliveries: queue.records, ledger }
    },
    async [Symbol.asyncDispose]() {
      try {
        await Promise.all(crew.workers.map((worker) => worker.kill()))
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
      await pool.end()
      await admin.query(`drop database if exists ${name} with (force)`)
      await admin.end()
    },
  }
}
