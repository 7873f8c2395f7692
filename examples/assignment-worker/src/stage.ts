import { setInterval as every } from 'node:timers/promises'
import { migrate, type Run, type Scope } from '@opsledger/core'
import { migrations } from '@opsledger/dedupe/migrations'
import { createDatabase, dropStaleDatabases, eventually, findServer } from '@opsledger/testing'
import { type JobWithMetadata, PgBoss, type SendOptions } from 'pg-boss'
import { createCrew } from './crew.ts'
import type { DemoWorkerSettings } from './demo-worker.ts'
import type { Drawing } from './draw.ts'
import { createHappenings } from './happenings.ts'
import { migrateHost } from './host-schema.ts'
import { narrate } from './narrate.ts'
import { startProvider } from './provider.ts'
import { type Policy, seed } from './seed.ts'
import { QUEUES, wire } from './worker.ts'

/** Short, so that nobody has to wait for long: 15 seconds and 15 minutes unless told. */
export const LEASE_MS = 2_000
export const COOLDOWN_MS = 4_000
export const PROVIDER_KEY = 'sk_live_9hT3kQx7Vb2LmZ8sWc4D'

const LOOK_EVERY_MS = 100
/** More than any job of the demo takes on a busy machine. */
const JOB_WITHIN_MS = 15_000

/** A job that has ended, with what `deliver` said about it. */
export type EndedJob = Omit<JobWithMetadata, 'output'> & {
  readonly output: { readonly run?: string | null; readonly skipped?: string; readonly reasonCode?: string }
}

export type Stage = Awaited<ReturnType<typeof setStage>>

/** Everything the scenes play on; `exit` ends it in reverse order. */
export async function setStage(
  exit: AsyncDisposableStack,
  draw: Drawing,
  broken: DemoWorkerSettings['broken'],
) {
  const server = exit.use(await findServer({ print: draw.line }))
  if (server.kind === 'url') await dropStaleDatabases(server)
  const database = exit.use(await createDatabase(server))
  const provider = exit.use(await startProvider())
  const settings = {
    databaseUrl: database.url,
    providerUrl: provider.url,
    providerKey: PROVIDER_KEY,
    leaseMs: LEASE_MS,
    cooldownMs: COOLDOWN_MS,
    progressEveryMs: LOOK_EVERY_MS,
    broken,
  }

  const { applied } = await migrate({ connection: database.url, with: [migrations] })
  const wired = wire(settings)
  exit.defer(async () => {
    await wired.ledger.close()
    await wired.db.destroy()
  })
  await migrateHost(wired.db)
  const { workspaceId, tenantId } = await seed(wired.db)

  // Its supervisor gives the job of a dead worker to another one; every second instead of every minute.
  const boss = new PgBoss({
    connectionString: database.url,
    schedule: false,
    superviseIntervalSeconds: 1,
    monitorIntervalSeconds: 1,
  })
  boss.on('error', (error) => draw.detail(`pg-boss: ${error.message}`))
  await boss.start()
  exit.defer(() => boss.stop({ graceful: false }))
  for (const queue of Object.values(QUEUES)) await boss.createQueue(queue, { retryLimit: 2 })
  draw.line(`migrated and seeded: ${applied.join(', ')}, pg-boss, the host's own tables`)

  const happenings = createHappenings((happening) => draw.detail(narrate(happening)))
  const crew = exit.use(createCrew(settings, happenings))
  const workers = await Promise.all([crew.hire(), crew.hire()])
  draw.line(`two worker processes: ${workers.map(({ pid }) => pid).join(', ')}`)

  const watching = new AbortController()
  void drawProgress(draw, () => wired.ledger.acrossTenants.openRuns(workspaceId), watching.signal)
  exit.defer(() => watching.abort())

  const scope: Scope = { workspaceId, tenantId }
  const job = (policy: Policy) => ({ workspaceId, tenantId, policy })
  return {
    ...wired,
    provider,
    boss,
    happenings,
    crew,
    draw,
    workspaceId,
    scope,
    job,
    /** As a dispatcher does it. */
    async send(queue: keyof typeof QUEUES, data: object, options: SendOptions = {}): Promise<string> {
      return (await boss.send(QUEUES[queue], data, options))!
    },
    /** The queue announces no ends, so it is asked. */
    ended: (queue: keyof typeof QUEUES, id: string): Promise<EndedJob> =>
      eventually(
        async () => {
          const [found] = await boss.findJobs<object>(QUEUES[queue], { id })
          if (found?.completedOn == null)
            throw new Error(`job ${id} of ${queue} is ${found?.state ?? 'gone'}`)
          return found as EndedJob
        },
        { withinMs: JOB_WITHIN_MS },
      ),
    /** The runs of a policy's work, oldest first. */
    async runsOf(type: string, policy: Policy): Promise<Run[]> {
      const { runs } = await wired.ledger.list(scope, { type })
      return runs.filter(({ context }) => (context as { policy: string }).policy === policy).reverse()
    },
  }
}

/** What an operator's page would show: the open runs, read again and again. */
async function drawProgress(draw: Drawing, read: () => Promise<Run[]>, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of every(LOOK_EVERY_MS, undefined, { signal })) draw.running(await read())
  } catch (error) {
    if (!signal.aborted) draw.detail(`cannot read the open runs: ${error}`)
  }
}
