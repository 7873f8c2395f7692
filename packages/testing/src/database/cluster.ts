import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, chown, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Binaries, findBinaries } from './embedded-binaries.ts'
import { findFreePort } from './free-port.ts'
import type { RestartMode } from './server.ts'
import { createServerFolder } from './server-folder.ts'
import { findServerUser, type SystemUser } from './system-user.ts'

/** A start after a crash replays the log and may sync every file once. */
const START_WITHIN_MS = 60_000
/** Postgres itself kills its children five seconds after an immediate stop. */
const STOP_WITHIN_MS = 15_000

/** One data directory and its postmaster. Lives in the guardian process; see there. */
export class Cluster {
  readonly password = randomBytes(12).toString('hex')
  readonly folder: string
  port = 0
  readonly #binaries: Binaries
  readonly #user: SystemUser | null
  #child: ChildProcess | null = null

  private constructor(folder: string, binaries: Binaries, user: SystemUser | null) {
    this.folder = folder
    this.#binaries = binaries
    this.#user = user
  }

  static async create(major: number): Promise<Cluster> {
    const user = await findServerUser()
    const { folder, binaries } = await createServerFolder(await findBinaries(major), user)
    return new Cluster(folder, binaries, user)
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get #data(): string {
    return join(this.folder, 'data')
  }

  async initialize(settings: Record<string, string>): Promise<void> {
    const passwordFile = join(this.folder, 'password')
    await writeFile(passwordFile, `${this.password}\n`, { mode: 0o600 })
    if (this.#user) await chown(passwordFile, this.#user.uid, this.#user.gid)
    // Without sync: the empty cluster may be lost with the machine, what is committed later may not.
    await this.#run(this.#binaries.initdb, [
      `--pgdata=${this.#data}`,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--no-locale',
      '--no-sync',
    ])
    await rm(passwordFile)
    const lines = Object.entries(settings).map(
      ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
    )
    await appendFile(join(this.#data, 'postgresql.conf'), lines.join(''))
  }

  /** On a port of its own choice at first, later on the same one. */
  async start(): Promise<void> {
    const isFirst = this.port === 0
    for (let tries = 1; ; tries++) {
      if (isFirst) this.port = await findFreePort()
      try {
        return await this.#startOnce()
      } catch (error) {
        const isTaken = /could not bind|Address already in use/.test(String(error))
        if (!isTaken || tries === 10) throw error
        if (!isFirst) await sleep(100 * tries)
      }
    }
  }

  async stop(mode: RestartMode): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    const tooLong = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
    await exited
    clearTimeout(tooLong)
    this.#child = null
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  async #startOnce(): Promise<void> {
    const child = await this.#spawn(this.#binaries.postgres, ['-D', this.#data, '-p', String(this.port)])
    const deadline = Date.now() + START_WITHIN_MS
    while (Date.now() < deadline) {
      if (child.exitCode !== null || child.signalCode !== null) break
      // The eighth line of the lock file is the postmaster's state: what pg_ctl waits for, too.
      const lines = await readFile(join(this.#data, 'postmaster.pid'), 'utf8').catch(() => '')
      if (Number(lines.split('\n')[0]) === child.pid && lines.split('\n')[7]?.trim() === 'ready') return
      await sleep(10)
    }
    await this.stop('immediate')
    throw new Error(`The embedded Postgres did not start. The end of its log:\n${await this.#logTail()}`)
  }

  async #run(command: string, args: string[]): Promise<void> {
    const child = await this.#spawn(command, args)
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    this.#child = null
    if (child.exitCode !== 0) {
      throw new Error(`${relative(this.#binaries.root, command)} failed:\n${await this.#logTail()}`)
    }
  }

  async #spawn(command: string, args: string[]): Promise<ChildProcess> {
    const log = await open(join(this.folder, 'log'), 'a')
    const child = spawn(command, args, {
      ...this.#user,
      cwd: this.folder,
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', log.fd, log.fd],
    })
    this.#child = child
    await once(child, 'spawn').finally(() => log.close())
    return child
  }

  async #logTail(): Promise<string> {
    const log = await readFile(join(this.folder, 'log'), 'utf8').catch(() => '')
    return log.trimEnd().split('\n').slice(-12).join('\n')
  }
}
