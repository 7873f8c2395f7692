import type { HandlerContext } from '@opsledger/core'
import { createGuard, type DedupeGuard } from '@opsledger/dedupe'
import { type Kysely, sql, type Transaction } from 'kysely'
import { beforeAll, expect, test } from 'vitest'
import { delivery, executed, heldWork, refused } from './acceptance/support/held-work.ts'
import { useLedgers } from './support/ledger.ts'
import { usePGlite } from './support/pglite.ts'

/** What is particular to a database of one connection; what is not is in the shared suite, which runs on it too. */
const database = usePGlite()
const newLedger = useLedgers(database)

interface Job {
  readonly work: string
}
interface Host {
  effect: { work: string }
}

beforeAll(async () => {
  await database.pool().query('create table effect (work text primary key)')
})

const worker = (handler: (context: HandlerContext<Job>) => unknown) => {
  const ledger = newLedger()
  const guard: DedupeGuard = createGuard(ledger)
  return ledger.operation({
    type: 'assignment.restore',
    guard,
    scope: (_: Job) => ({ workspaceId: 'w1', tenantId: 't1' }),
    fingerprint: ({ work }) => work,
    handler,
  })
}
const effects = async () => (await database.pool().query<{ work: string }>('select * from effect')).rows

test('a guard excludes by lease, and says so when it is told otherwise', () => {
  expect(createGuard(newLedger()).exclusion).toBe('lease')
  expect(() => createGuard(newLedger(), { exclusion: 'session' })).toThrow(/^exclusion is .*'lease'/)
})

test("a run's own transaction commits with its outcome, while a second worker waits for its turn", async () => {
  const inside = Promise.withResolvers<void>()
  const leave = Promise.withResolvers<void>()
  const first = worker(async ({ payload, run, counts }) => {
    counts.itemSucceeded()
    await run.transaction(
      async (trx: Transaction<Host>) => {
        await trx.insertInto('effect').values({ work: payload.work }).execute()
        inside.resolve()
        await leave.promise
      },
      { settles: true },
    )
  })
  const answer = first({ work: 'a' }, delivery('job-1'))
  await inside.promise
  // The one connection is the transaction's: whoever comes now is served after its commit, and finds the work done.
  const late = worker(() => {})({ work: 'a' }, delivery('job-2'))
  leave.resolve()
  expect(executed(await answer).run).toMatchObject({ outcome: 'succeeded', counts: { processed: 1 } })
  expect(refused(await late)).toMatchObject({ reason: 'cooldown', action: 'discard' })
  expect(await effects()).toEqual([{ work: 'a' }])
})

test('a transaction that fails leaves nothing, and the connection to the next one', async () => {
  const attempts: number[] = []
  const operation = worker(async ({ payload, run }) => {
    attempts.push(run.attempt)
    await run.transaction(async (trx: Transaction<Host>) => {
      await trx.insertInto('effect').values({ work: payload.work }).execute()
      if (run.attempt === 1) await sql`select 1 / 0`.execute(trx)
    })
  })
  await expect(operation({ work: 'b' }, delivery('job-3', 1))).rejects.toMatchObject({ code: '22012' })
  expect(await effects()).not.toContainEqual({ work: 'b' })
  executed(await operation({ work: 'b' }, delivery('job-3', 2)))
  expect(await effects()).toContainEqual({ work: 'b' })
  expect(attempts).toEqual([1, 2])
})

test('a handler that uses the same connection does not keep the others from theirs', async () => {
  const kysely = database.way().kysely as Kysely<Host>
  const work = heldWork<Job>()
  const first = worker(async (context) => {
    await kysely.insertInto('effect').values({ work: context.payload.work }).execute()
    return work.handler(context)
  })({ work: 'c' }, delivery('job-4'))
  const execution = await work.next()
  executed(await worker(() => {})({ work: 'd' }, delivery('job-5')))
  expect(refused(await worker(() => {})({ work: 'c' }, delivery('job-6')))).toMatchObject({
    ...{ reason: 'overlap', action: 'discard', holder: { runId: execution.context.run.id } },
  })
  execution.finish()
  expect(await first).toMatchObject({ executed: true, settlement: 'settled' })
})
