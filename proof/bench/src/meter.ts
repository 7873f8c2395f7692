import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { TrialPlace } from './trial.ts'

/** What the server and this process had used up at a moment. */
export interface Reading {
  readonly atMs: number
  readonly cpuMs: number
  readonly walBytes: number
  /** Committed and rolled back, in the trial's database; a session may add its own a second late, at its end at the latest. */
  readonly transactions: number
  /** Of clients, in the trial's database. */
  readonly connections: number
}

/** Reads the server's counters on a connection of its own, to another database. */
export class Meter {
  readonly #client: pg.Client
  readonly #database: string

  private constructor(client: pg.Client, database: string) {
    this.#client = client
    this.#database = database
  }

  static async open({ url, adminUrl }: TrialPlace): Promise<Meter> {
    const client = new pg.Client({ connectionString: adminUrl })
    await client.connect()
    return new Meter(client, decodeURIComponent(new URL(url).pathname.slice(1)))
  }

  async read(): Promise<Reading> {
    const atMs = performance.now()
    const { user, system } = process.cpuUsage()
    const { rows } = await this.#client.query({
      name: 'read',
      text: `
        select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as "walBytes",
               (select (xact_commit + xact_rollback)::float8 from pg_stat_database where datname = $1) as transactions,
               (select count(*)::float8 from pg_stat_activity
                where datname = $1 and backend_type = 'client backend') as connections`,
      values: [this.#database],
    })
    return { atMs, cpuMs: (user + system) / 1_000, ...rows[0] }
  }

  /** When the last session has ended, or after two seconds. */
  async readWhenAlone(): Promise<Reading> {
    const giveUpAt = performance.now() + 2_000
    for (;;) {
      const reading = await this.read()
      if (reading.connections === 0 || performance.now() > giveUpAt) return reading
      await sleep(20)
    }
  }

  /** So that none falls due in the middle of one trial and not of the next. A role without the right does without. */
  async checkpoint(): Promise<void> {
    await this.#client.query('checkpoint').catch(() => {})
  }

  async close(): Promise<void> {
    await this.#client.end()
  }
}
