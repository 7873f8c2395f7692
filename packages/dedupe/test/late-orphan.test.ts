import { DatabaseUnavailableError } from '@opsledger/core'
import { eventually, startProxy, waitUntilBlocked } from '@opsledger/testing'
import { expect, it, onTestFinished } from 'vitest'
import { mutate } from './acceptance/support/database.ts'
import { useLedgerDatabase } from './support/ledger.ts'
import { claimOf, createLatch, foreignSession, racingWorker } from './support/racing-worker.ts'

const database = useLedgerDatabase()
/** Orphans are looked for once in it. */
const LEASE_MS = 1_000

/**
 * Two admissions are lost. `free_orphans` waits for the row of the first when its connection is lost; nobody waits for
 * it any more, and the second work comes again and executes. Then the statement goes on.
 */
async function comeLate(name: string) {
  const proxy = await startProxy(database.url)
  const executing = createLatch()
  let holds = false
  const worker = racingWorker(database, () => (holds ? executing.hold() : null), {
    connection: proxy.url,
    exclusion: 'lease',
    leaseMs: LEASE_MS,
    admissionTimeoutMs: 100,
  })
  onTestFinished(async () => {
    proxy.onClientData(null)
    await worker.ledger.close({ withinMs: 500 })
    await proxy.stop()
  })
  await worker.deliver({ work: `warm-up ${name}` }, 'warm-up')
  const identityOf = (work: string) => worker.identify({ work }).identity
  // In the order in which they are freed.
  const [first, second] = [`${name} a`, `${name} b`].sort((a, b) => (identityOf(a) < identityOf(b) ? -1 : 1))
  // The server's own patience would end before the test has done what comes meanwhile.
  await database.pool().query(`alter function opsledger.free_orphans set lock_timeout to '60s'`)

  proxy
    .loseReplyOf((sql) => /"admit_(one|unopposed)"\(/.test(sql))
    .done.then(() => {
      proxy.onClientData(() => 'cut')
      proxy.cut()
    })
  const lost = await Promise.allSettled([first!, second!].map((work) => worker.deliver({ work }, work)))
  for (const { reason } of lost as PromiseRejectedResult[])
    expect(reason).toBeInstanceOf(DatabaseUnavailableError)
  for (const work of [first!, second!])
    expect(await claimOf(database, identityOf(work))).toMatchObject({ state: 'held', attempt: 1 })
  const row = await foreignSession(database)
  await row.query('begin')
  await row.query('select from opsledger.job_claim where identity = $1 for update', [identityOf(first!)])
  proxy.onClientData(null)
  const [blocked] = await waitUntilBlocked(database.pool(), { applicationName: 'opsledger work' })
  expect(blocked!.query).toContain('free_orphans')
  proxy.cut()
  holds = true
  const again = worker.deliver({ work: second! }, 'again')
  await Promise.race([executing.entered, again])

  await row.query('rollback')
  await eventually(async () =>
    expect(await claimOf(database, identityOf(first!))).toMatchObject({ state: 'free' }),
  )
  const meanwhile = await claimOf(database, identityOf(second!))
  executing.end()
  return { meanwhile, verdict: await again }
}

it('a search for orphans that comes late frees nothing that was claimed after it was sent', async () => {
  const { meanwhile, verdict } = await comeLate('late')
  expect(meanwhile).toMatchObject({ state: 'held', status: 'running', attempt: 2 })
  expect(verdict).toMatchObject({ executed: true, settlement: 'settled' })
})

it('would free what executes without its bound (mutant)', async () => {
  await mutate(database.pool(), 'free_orphans', [['and fence <= p_newest_fence', '']])
  const { meanwhile, verdict } = await comeLate('mutant')
  expect(meanwhile).toMatchObject({ state: 'free', status: 'retrying' })
  expect(verdict).toMatchObject({ executed: true, settlement: expect.not.stringMatching(/^settled$/) })
})
