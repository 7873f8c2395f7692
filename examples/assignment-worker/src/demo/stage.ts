import { setInterval as every } from 'node:timers/promises'
import type { Run, Scope } from '@opsledger/core'
import { describeProgress } from '@opsledger/seed'
import { createDatabase, dropStaleDatabases, eventually, findServer } from '@opsledger/testing'
import type { Kysely } from 'kysely'
import { type JobWithMetadata, PgBoss, type SendOptions } from 'pg-boss'
import type { HostTables } from '../app/host-schema.ts'
import { QUEUES } from '../app/queues.ts'
import type { POLICIES } from '../app/seed.config.ts'
import { wire } from '../app/worker.ts'
import { type Board, createBoard } from './board.ts'
import { createCrew } from './crew.ts'
import type { DemoWorkerSettings } from './demo-worker.ts'
import type { Drawing } from './draw.ts'
import { createHappenings } from './happenings.ts'
import { narrate } from './narrate.ts'
import { startProvider } from './provider.ts'
import { resetDatabase } from './reset-database.ts'
import { policyOf } from './run-names.ts'

/** Short, so that nobody has to wait for long: 15 seconds and 15 minutes unless told. */
export const LEASE_MS = 2_000
export const COOLDOWN_MS = 4_000
export const PROVIDER_KEY = 'sk_live_9hT3kQx7Vb2LmZ8sWc4D'

const LOOK_EVERY_MS = 100
/** More than any job of the demo takes on a busy machine. */
const JOB_WITHIN_MS = 15_000

export type Policy = (typeof POLICIES)[number]

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
  const seeded = await resetDatabase(database, (event) => draw.detail(describeProgress(event)))

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
  const wired = wire(settings)
  exit.defer(async () => {
    await wired.ledger.close()
    await wired.db.destroy()
  })
  const scope = await firstTenant(wired.db)
  const { workspaceId } = scope

  // Its supervisor gives the job of a dead worker to another one; every second instead of every minute.
  const boss = new PgBoss({
    connectionString: database.url,
    migrate: false,
    schedule: false,
    superviseIntervalSeconds: 1,
    monitorIntervalSeconds: 1,
  })
  boss.on('error', (error) => draw.detail(`pg-boss: ${error.message}`))
  await boss.start()
  exit.defer(() => boss.stop({ graceful: false }))

  const board = createBoard(draw)
  const happenings = createHappenings((happening) => {
    if (happening.name === 'opsledger:run.settled') board.settled(happening.message)
    if (happening.name === 'opsledger:run.swept') board.concluded(happening.message.run.id)
    draw.detail(narrate(happening))
  })
  const crew = exit.use(createCrew(settings, happenings, draw.line))
  const workers = await Promise.all([crew.hire(), crew.hire()])
  draw.line(`two worker processes: ${workers.map(({ pid }) => pid).join(', ')}`)

  const watching = new AbortController()
  const read = () => wired.ledger.acrossTenants.openRuns(workspaceId)
  const watched = watch(board, read, (error) => draw.detail(`cannot read the open runs: ${error}`), watching)
  exit.defer(async () => {
    watching.abort()
    await watched
  })

  return {
    ...wired,
    database,
    seeded,
    provider,
    boss,
    happenings,
    crew,
    board,
    draw,
    workspaceId,
    scope,
    job: (policy: Policy) => ({ ...scope, policy }),
    /** As a dispatcher does it. */
    async send(queue: keyof typeof QUEUES, data: object, options: SendOptions = {}): Promise<string> {
      return (await boss.send(QUEUES[queue], data, options))!
    },
    /** The queue announces no ends, so it is asked. */
    async ended(queue: keyof typeof QUEUES, id: string): Promise<EndedJob> {
      const job = await eventually(
        async () => {
          const [found] = await boss.findJobs<object>(QUEUES[queue], { id })
          if (found?.completedOn == null)
            throw new Error(`job ${id} of ${queue} is ${found?.state ?? 'gone'}`)
          return found as EndedJob
        },
        { withinMs: JOB_WITHIN_MS },
      )
      // What a skipped job names is another one's run, which may go on.
      const { run, skipped } = job.output ?? {}
      if (typeof run === 'string' && skipped === undefined) board.concluded(run)
      return job
    },
    /** The runs of a policy's work, oldest first. */
    async runsOf(type: string, policy: Policy): Promise<Run[]> {
      const { runs } = await wired.ledger.list(scope, { type })
      return runs.filter((run) => policyOf(run) === policy).reverse()
    },
  }
}

async function firstTenant(db: Kysely<HostTables>): Promise<Required<Scope> & { readonly tenantId: string }> {
  return db
    .selectFrom('tenants')
    .innerJoin('workspaces', 'workspaces.id', 'tenants.workspace_id')
    .select(['tenants.id as tenantId', 'workspaces.id as workspaceId'])
    .where('tenants.name', '=', 'North')
    .where('workspaces.name', '=', 'Workspace 1')
    .executeTakeFirstOrThrow()
}

/** What an operator's page would show: the open runs, read again and again. */
async function watch(
  board: Board,
  read: () => Promise<Run[]>,
  onError: (error: unknown) => void,
  { signal }: AbortController,
): Promise<void> {
  try {
    for await (const _ of every(LOOK_EVERY_MS, undefined, { signal })) board.show(await read())
  } catch (error) {
    if (!signal.aborted) onError(error)
  }
}
