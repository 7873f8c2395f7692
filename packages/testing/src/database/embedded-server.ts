import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { readServerVersion } from './admin-client.ts'
import type { GuardianReply, GuardianRequest } from './guardian-messages.ts'
import { DEFAULT_MAJOR, readMajor } from './majors.ts'
import type { RestartMode, Server } from './server.ts'

/** Durability stays real (fsync, synchronous_commit): the tests restart the server and count on it. */
export const DEFAULT_EMBEDDED_SETTINGS: Readonly<Record<string, string>> = Object.freeze({
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  fsync: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
})

export interface EmbeddedServer extends Server {
  readonly kind: 'embedded'
  /** Holds the data directory, the log and nothing else; gone after `stop`. */
  readonly folder: string
  /** Process id of the postmaster; another one after each restart. */
  readonly pid: number
  restart(mode: RestartMode): Promise<void>
}

/**
 * Starts a private Postgres on a free loopback port, ready in about a second. `settings` go to postgresql.conf
 * over the defaults, so that `alter system` still works. Tests that restart or fill a server start their own, of the
 * major that `OPSLEDGER_POSTGRES_MAJOR` asks for unless they name one.
 */
export async function startEmbeddedServer(
  options: { major?: number; settings?: Record<string, string>; why?: string } = {},
): Promise<EmbeddedServer> {
  const guardian = startGuardian()
  let state = await ask(guardian, {
    kind: 'start',
    major: options.major ?? readMajor(process.env) ?? DEFAULT_MAJOR,
    settings: { ...DEFAULT_EMBEDDED_SETTINGS, ...options.settings },
  }).catch(async (error) => {
    await stopGuardian(guardian)
    throw error
  })
  const url = `postgres://postgres:${state.password}@127.0.0.1:${state.port}/postgres`
  const version = await readServerVersion(url)
  const why = options.why ? ` (${options.why})` : ''
  return {
    url,
    kind: 'embedded',
    version,
    folder: state.folder,
    get pid() {
      return state.pid
    },
    describe: () => `embedded Postgres ${version}${why}`,
    stop: () => stopGuardian(guardian),
    restart: async (mode) => {
      state = await ask(guardian, { kind: 'restart', mode })
    },
    [Symbol.asyncDispose]: () => stopGuardian(guardian),
  }
}

function startGuardian(): ChildProcess {
  const { NODE_OPTIONS: _, NODE_V8_COVERAGE: __, ...env } = process.env
  const guardian = fork(fileURLToPath(new URL('./guardian.ts', import.meta.url)), {
    execArgv: [],
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env,
  })
  // A host that forgets `stop` may still exit: the closed channel is the guardian's sign to clean up.
  guardian.unref()
  return guardian
}

/** One request at a time; the channel keeps this process alive only while an answer is awaited. */
async function ask(guardian: ChildProcess, request: GuardianRequest): Promise<GuardianReply & { ok: true }> {
  if (!guardian.connected) throw new Error('The embedded Postgres is stopped: start another one')
  const reply = await new Promise<GuardianReply>((resolve, reject) => {
    const onMessage = (message: GuardianReply) => settle(() => resolve(message))
    const onGone = () => settle(() => reject(new Error('The guardian of the embedded Postgres ended early')))
    const settle = (finish: () => void) => {
      guardian.off('message', onMessage).off('exit', onGone)
      guardian.channel?.unref()
      guardian.unref()
      finish()
    }
    guardian.ref()
    guardian.channel?.ref()
    guardian.on('message', onMessage).on('exit', onGone)
    guardian.send(request)
  })
  if (!reply.ok) throw new Error(reply.message)
  return reply
}

async function stopGuardian(guardian: ChildProcess): Promise<void> {
  if (guardian.exitCode !== null || guardian.signalCode !== null) return
  guardian.ref()
  const exited = once(guardian, 'exit')
  if (guardian.connected) guardian.disconnect()
  await exited
}
