import { randomUUID } from 'node:crypto'
import { DatabaseUnavailableError } from '@opsledger/core'
import { pause } from '@opsledger/core/guard'
import { eventually, startProxy } from '@opsledger/testing'
import { expect, it, onTestFinished } from 'vitest'
import { mutate } from './acceptance/support/database.ts'
import { useLedgerDatabase } from './support/ledger.ts'
import { claimOf, foreignSession, lockCount, racingWorker } from './support/racing-worker.ts'

const database = useLedgerDatabase()

/**
 * The admission of one delivery is lost with its connection, and so is nobody's; another delivery of the work comes
 * while the old session has not ended yet: a session of somebody else plays it, and ends when it was asked twice.
 */
async function meetOwnOrphan(work: string) {
  const proxy = await startProxy(database.url)
  const worker = racingWorker(database, () => 'executed', { connection: proxy.url, admissionTimeoutMs: 200 })
  onTestFinished(async () => {
    proxy.onClientData(null)
    await worker.ledger.close({ withinMs: 500 })
    await proxy.stop()
  })
  await worker.deliver({ work: `warm-up ${work}` }, 'warm-up')
  const { identity } = worker.identify({ work })
  proxy
    .loseReplyOf((sql) => /"admit_(one|unopposed)"\(/.test(sql))
    .done.then(() => {
      proxy.onClientData(() => 'cut')
      proxy.cut()
    })
  await expect(worker.deliver({ work }, 'lost')).rejects.toBeInstanceOf(DatabaseUnavailableError)
  await eventually(async () => expect(await lockCount(database, identity)).toBe(0))
  expect(await claimOf(database, identity)).toMatchObject({ state: 'held', attempt: 1 })

  const session = await foreignSession(database)
  await session.query('select pg_advisory_lock(opsledger.lock_key($1))', [identity])
  let asked = 0
  proxy.onClientData((_, chunk) => {
    if (chunk.includes('opsledger.admit') && ++asked === 2) {
      session.query('select pg_advisory_unlock_all()')
    }
    return 'pass'
  })
  // Its queue brings it again when it is told so: on a busy machine the lock may come too late for one admission.
  let verdict = await worker.deliver({ work }, 'next')
  while (!verdict.executed && verdict.reason === 'lock_busy') verdict = await worker.deliver({ work }, 'next')
  return { verdict, asked }
}

it('work whose orphan has its lock still with the old session of its process is asked for again, and executes', async () => {
  const { verdict, asked } = await meetOwnOrphan('orphan')
  expect(verdict).toMatchObject({ executed: true, value: 'executed', run: { attempt: 2 } })
  expect(asked).toBeGreaterThan(1)
})

it('would be discarded for an execution that there is not, if it were told of an overlap (mutant)', async () => {
  await mutate(database.pool(), 'admit', [
    [
      `then case when seen.got = 2 then 'own_orphan' else 'lock_busy' end`,
      `and seen.got = 2 then 'own_orphan'`,
    ],
  ])
  const { verdict, asked } = await meetOwnOrphan('mutant')
  expect(verdict).toMatchObject({ executed: false, reason: 'overlap', action: 'discard' })
  expect(asked).toBe(1)
})

it("a claim whose answer is on its way is nobody's orphan, also to who asks for its work under another name", async () => {
  const runId = randomUUID()
  const [claimed, judged, executing] = Array.from({ length: 3 }, () => Promise.withResolvers<void>())
  const end = Promise.withResolvers<void>()
  let mostAtOnce = 0
  let now = 0
  const worker = racingWorker(
    database,
    async () => {
      mostAtOnce = Math.max(mostAtOnce, ++now)
      executing!.resolve()
      await end.promise
      now--
    },
    { exclusion: 'lease' },
  )
  // This process cannot see that a delivery of the run and one of other work are the same: the database can.
  await worker.open({ work: 'on its way', runId })
  worker.onAnswer(async (name) => {
    // Later than all that follows from the other answer at once.
    if (name === 'admit') setImmediate(judged!.resolve)
    if (name !== 'admit_one') return
    claimed!.resolve()
    await judged!.promise
  })
  const first = worker.deliver({ work: 'on its way' }, 'first')
  await claimed!.promise
  const second = worker.deliver({ work: 'other work', runId }, 'second')
  await executing!.promise
  const verdict = await Promise.race([second, end.promise, pause(2_000)])
  end.resolve()
  expect(mostAtOnce).toBe(1)
  expect(verdict).toMatchObject({ executed: false, reason: 'overlap' })
  expect(await first).toMatchObject({ executed: true, settlement: 'settled' })
})

it('its own orphan is taken over at once, whatever answer to other work has fallen silent', async () => {
  const silence = Promise.withResolvers<void>()
  const fellSilent = Promise.withResolvers<void>()
  const worker = racingWorker(database, () => 'executed', { exclusion: 'lease' })
  let admissions = 0
  worker.onAnswer(async (name) => {
    if (name !== 'admit_one') return
    admissions++
    if (admissions === 1) {
      fellSilent.resolve()
      await silence.promise
    } else if (admissions === 2) throw new Error('Connection terminated unexpectedly')
  })
  const silent = worker.deliver({ work: 'silent' }, 'silent')
  await fellSilent.promise
  const verdict = await worker.deliver({ work: 'orphaned' }, 'd1')
  expect(verdict).toMatchObject({ executed: true, run: { attempt: 2 }, settlement: 'settled' })
  silence.resolve()
  expect(await silent).toMatchObject({ executed: true, settlement: 'settled' })
})
