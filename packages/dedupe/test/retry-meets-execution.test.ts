import { describe, expect, it } from 'vitest'
import { mutate } from './acceptance/support/database.ts'
import { useLedgerDatabase } from './support/ledger.ts'
import { createLatch, type Payload, type RacingWorkerOptions, racingWorker } from './support/racing-worker.ts'

/**
 * Delivery `one` failed and is to come again. Before it does, delivery `two` of the same work executes the next attempt
 * of the run. Were `one` discarded for `two` now, as `two` may have been for `one` before, a failure of `two` would leave
 * nobody.
 */
const database = useLedgerDatabase()

const runIds = {
  'without a run id': () => ({}),
  'under one run id': () => {
    const runId = crypto.randomUUID()
    return { one: runId, two: runId }
  },
  'under two run ids': () => ({ one: crypto.randomUUID(), two: crypto.randomUUID() }),
}

interface Meeting {
  readonly ids?: { one?: string; two?: string }
  readonly options?: RacingWorkerOptions
}

async function meet(work: string, { ids = {}, options = {} }: Meeting = {}) {
  const executing = createLatch()
  let ending: () => unknown = () => {
    throw new Error('the provider is away')
  }
  const worker = racingWorker(database, () => ending(), options)
  const payload = (runId?: string): Payload => (runId === undefined ? { work } : { work, runId })
  const [one, two] = [payload(ids.one), payload(ids.two)]
  // The run of `two` stands for the work; that of `one` is closed as skipped.
  if (ids.one !== ids.two) await worker.open(two)
  await expect(worker.deliver(one, 'one', 1)).rejects.toThrow('the provider is away')
  ending = executing.hold
  const second = worker.deliver(two, 'two', 1)
  await executing.entered
  return {
    worker,
    one,
    two,
    finish: async () => {
      executing.end()
      return second
    },
  }
}

const putOff = { executed: false, action: 'retry_later', holder: { deliveryId: 'two' } }

describe.each(Object.entries(runIds))('a retry that meets another delivery of its run, %s', (name, ids) => {
  it('in another process is told to come again', async () => {
    const { one, finish } = await meet(`elsewhere ${name}`, { ids: ids() })
    expect(await racingWorker(database).deliver(one, 'one', 2)).toMatchObject(putOff)
    expect(await finish()).toMatchObject({ executed: true, run: { attempt: 2 } })
  })

  it('in its own process is told to come again', async () => {
    const { worker, one, finish } = await meet(`here ${name}`, { ids: ids() })
    expect(await worker.deliver(one, 'one', 2)).toMatchObject(putOff)
    await finish()
  })

  it('is not told what somebody else beside it was told', async () => {
    const { one, two, finish } = await meet(`beside ${name}`, { ids: ids() })
    const other = racingWorker(database)
    await other.deliver({ work: `warm-up ${name}` }, 'warm-up')
    const [newcomer, retry] = await Promise.all([other.deliver(two, 'three'), other.deliver(one, 'one', 2)])
    expect(newcomer).toMatchObject({ executed: false, action: 'discard', holder: { deliveryId: 'two' } })
    expect(retry).toMatchObject(putOff)
    await finish()
  })
})

describe('a retry that comes when another delivery has ended its run', () => {
  const options = { cooldownMs: 0 }

  it.each(['without a run id', 'under one run id', 'under two run ids'] as const)(
    'has nothing more to do, also without a cooldown (%s)',
    async (name) => {
      const { worker, one, finish } = await meet(`ended ${name}`, { ids: runIds[name](), options })
      expect(await finish()).toMatchObject({ run: { outcome: 'succeeded' } })
      const told = { executed: false, reason: 'already_terminal', action: 'discard' }
      expect(await worker.deliver(one, 'one', 2)).toMatchObject(told)
      expect(await racingWorker(database, undefined, options).deliver(one, 'one', 2)).toMatchObject(told)
      expect(await worker.deliver(one, 'three')).toMatchObject({ executed: true })
    },
  )

  it('is told of the cooldown while there is one', async () => {
    const { worker, one, finish } = await meet('cooling')
    await finish()
    expect(await worker.deliver(one, 'one', 2)).toMatchObject({ reason: 'cooldown', action: 'discard' })
  })

  async function comeAgainToSkipped(work: string) {
    const runId = crypto.randomUUID()
    let fails = true
    const worker = racingWorker(database, () => {
      if (fails) throw new Error('the provider is away')
      return 'executed'
    })
    await expect(worker.deliver({ work, runId }, 'one')).rejects.toThrow('the provider is away')
    // As an admission does it that finds another run standing for the work.
    await database.pool().query(
      `update opsledger.operation_run set status = 'completed', outcome = 'skipped', completed_at = clock_timestamp(),
         total = 0, processed = 0, failed = 0, reason_code = 'run.not_canonical', message = null, delivery_id = null,
         delivery_attempt = null, delivery_maximum = null, canonical_run_id = gen_random_uuid()
       where id = $1`,
      [runId],
    )
    fails = false
    return worker.deliver({ work, runId }, 'one', 2)
  }

  it('executes where the run was only closed as skipped', async () => {
    expect(await comeAgainToSkipped('skipped')).toMatchObject({ executed: true, value: 'executed' })
  })

  it('would not, if skipped were an end like any other (mutant)', async () => {
    await mutate(database.pool(), 'ended_in_history', [[`('failed', 'skipped')`, `('failed')`]])
    expect(await comeAgainToSkipped('mutant: skipped')).toMatchObject({ reason: 'already_terminal' })
  })
})

describe('mutants', () => {
  it('without a look at who had an attempt, the retry is discarded', async () => {
    await mutate(database.pool(), 'had_attempt', [['select coalesce((', 'select false and coalesce((']])
    const { one, finish } = await meet('mutant: had_attempt')
    const verdict = await racingWorker(database).deliver(one, 'one', 2)
    expect(verdict).toMatchObject({ executed: false, action: 'discard' })
    await finish()
  })

  it('without a look at how the run ended, the retry executes again', async () => {
    await mutate(database.pool(), 'ended_in_history', [[`r.status = 'completed' and`, 'false and']])
    const { worker, one, finish } = await meet('mutant: ended', { options: { cooldownMs: 0 } })
    await finish()
    expect(await worker.deliver(one, 'one', 2)).toMatchObject({ executed: true })
  })
})
