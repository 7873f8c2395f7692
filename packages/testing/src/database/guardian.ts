/**
 * The program that owns an embedded server: a small process between the test run and Postgres.
 *
 * It runs in a session of its own, so that Ctrl-C in a terminal does not stop the database under tests that are
 * still ending, and it ends the server and removes its folder as soon as the channel to its parent closes: by
 * `stop()`, at exit, after SIGINT or SIGTERM, and equally after a crash or SIGKILL, where no handler runs.
 * Only a SIGKILL of the guardian itself leaves a server behind.
 */
import { Cluster } from './cluster.ts'
import type { GuardianReply, GuardianRequest } from './guardian-messages.ts'

let cluster: Cluster | null = null
let isStopping = false

async function handle(request: GuardianRequest): Promise<void> {
  if (request.kind === 'start') {
    cluster = await Cluster.create(request.major)
    if (!isStopping) await cluster.initialize(request.settings)
    if (!isStopping) await cluster.start()
  } else {
    if (cluster === null) throw new Error('The embedded Postgres was never started')
    await cluster.stop(request.mode)
    if (!isStopping) await cluster.start()
  }
}

async function answer(request: GuardianRequest): Promise<GuardianReply> {
  try {
    await handle(request)
    const { port, password, folder, pid } = cluster!
    return { ok: true, port, password, folder, pid: pid! }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) }
  }
}

let underWay: Promise<unknown> = Promise.resolve()

async function leave(): Promise<void> {
  if (isStopping) return
  isStopping = true
  await cluster?.stop('immediate').catch(() => {})
  await underWay
  await cluster?.stop('immediate').catch(() => {})
  await cluster?.remove().catch(() => {})
  process.exit(0)
}

process.on('message', (request: GuardianRequest) => {
  underWay = underWay
    .then(() => answer(request))
    .then((reply) => {
      if (process.connected) process.send!(reply, () => {})
    })
})
process.on('disconnect', leave)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, leave)
