import { createHash, randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

const PREFIX = 'opsledger_test'
/** A run of another machine, or one whose process id was reused, is taken for dead after a day. */
const DEAD_AFTER_MS = 24 * 60 * 60 * 1000

const NAME = new RegExp(`^${PREFIX}_([0-9a-f]{6})_(\\d+)_([0-9a-z]+)_`)

/** Changes with every run: machine, process and start, in a form that fits into a database name. */
export const createRunId = (): string => `${digest(hostname(), 6)}_${process.pid}_${Date.now().toString(36)}`

let ownRunId: string | null = null

/** The run of this process, for callers outside a test runner. */
export function thisRunId(): string {
  ownRunId ??= createRunId()
  return ownRunId
}

/** The same in every process of a run, different between runs that share a server. */
export const templateName = (runId: string, key: string): string => `${PREFIX}_${runId}_t_${digest(key, 10)}`

export const databaseName = (runId: string): string =>
  `${PREFIX}_${runId}_d_${randomBytes(5).toString('hex')}`

export const isOfRun = (runId: string, name: string): boolean => name.startsWith(`${PREFIX}_${runId}_`)

/** Only names made here are ever judged; everything else on the server is somebody else's. */
export function isOfDeadRun(name: string): boolean {
  const match = NAME.exec(name)
  if (match === null) return false
  const [, machine, pid, startedAt] = match
  if (Date.now() - Number.parseInt(startedAt!, 36) > DEAD_AFTER_MS) return true
  return machine === digest(hostname(), 6) && !isAlive(Number(pid))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function digest(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length)
}

/** A 64-bit advisory lock key, as text because JavaScript numbers end at 53 bits. */
export function lockKey(text: string): string {
  return createHash('sha256').update(text).digest().readBigInt64BE(0).toString()
}
