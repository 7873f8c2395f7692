import { eventually, waitUntilBlocked } from '@opsledger/testing'
import { describe, expect, it } from 'vitest'
import { mutate } from './acceptance/support/database.ts'
import { useLedgerDatabase } from './support/ledger.ts'
import { foreignSession, lockCount, type Payload, racingWorker } from './support/racing-worker.ts'
import { scriptedWorker } from './support/scripted-worker.ts'

interface Change {
  readonly name: string
  /** Whether the work has a claim, which is free, when it is looked at. */
  readonly isKnown: boolean
  readonly text: string
  readonly refusal: object
}

/** What somebody who has no lock of the work does to its claim; $1 is the identity, $2 the term of a worker that lives. */
const CHANGES: readonly Change[] = [
  {
    name: 'begins to cool down',
    isKnown: true,
    text: `update opsledger.job_claim set state = 'cooling', cooldown_until = clock_timestamp() + interval '1 hour',
      worker_id = $2 where identity = $1`,
    refusal: { executed: false, reason: 'cooldown', action: 'discard' },
  },
  {
    name: 'is taken',
    isKnown: true,
    text: `update opsledger.job_claim set state = 'held', settled_at = null, fence = nextval('opsledger.fence'),
      worker_id = $2, run_id = null, delivery_id = 'theirs' where identity = $1`,
    refusal: { executed: false, reason: 'overlap', action: 'discard', holder: { deliveryId: 'theirs' } },
  },
  {
    name: 'comes into being',
    isKnown: false,
    text: `insert into opsledger.job_claim
        (identity, work_key, lock_key, fence, claimed_at, worker_id, state, delivery_id)
      values ($1, $1, opsledger.lock_key($1), nextval('opsledger.fence'), clock_timestamp(), $2, 'held', 'theirs')`,
    refusal: { executed: false, reason: 'overlap', action: 'discard', holder: { deliveryId: 'theirs' } },
  },
]

const CONDITION = `where c.state = 'free' or (c.state = 'cooling' and c.cooldown_until <= clock_timestamp())`

describe.each(['session', 'lease'] as const)(
  'by %s, a claim that changes after it was looked at',
  (exclusion) => {
    const database = useLedgerDatabase()

    /** The change is made and not committed when the work is looked at: its admission waits for the row. */
    async function race({ isKnown, text }: Change, work: string, beside: readonly string[] = []) {
      const executed: string[] = []
      const handler = ({ payload }: { payload: Payload }) => executed.push(payload.work)
      const worker = racingWorker(database, handler, { exclusion, cooldownMs: 0 })
      const { identity } = worker.identify({ work })
      await worker.deliver({ work: isKnown ? work : `warm-up: ${work}` }, 'before')
      executed.length = 0
      const somebody = await foreignSession(database)
      await somebody.query('begin')
      await somebody.query(text, [identity, (await scriptedWorker(database.pool())).termId])
      const works = [work, ...beside]
      const delivering = Promise.all(works.map((each) => worker.deliver({ work: each }, 'ours')))
      delivering.catch(() => {})
      await waitUntilBlocked(database.pool())
      await somebody.query('commit')
      const [verdict, ...neighbours] = await delivering
      return { verdict, neighbours, executed, identity }
    }

    it.each(CHANGES)('is not had when it $name: the work is told what it met', async (change) => {
      const { verdict, executed, identity } = await race(change, change.name)
      expect(verdict).toMatchObject(change.refusal)
      expect(executed).toEqual([])
      await eventually(async () => expect(await lockCount(database, identity)).toBe(0))
    })

    it.each(CHANGES)('takes nothing from what was asked with it when it $name', async (change) => {
      const beside = [`one beside: ${change.name}`, `two beside: ${change.name}`]
      const { verdict, neighbours, executed } = await race(change, `of a batch: ${change.name}`, beside)
      expect(verdict).toMatchObject(change.refusal)
      const once = { executed: true, settlement: 'settled', run: { attempt: 1 } }
      expect(neighbours).toMatchObject(beside.map(() => once))
      expect(executed.toSorted()).toEqual(beside)
    })

    it.each(CHANGES)(
      'would be had if it were not judged once more when it $name (mutant)',
      async (change) => {
        await mutate(database.pool(), 'admit_one', [[CONDITION, 'where true']])
        const { verdict } = await race(change, `mutant: ${change.name}`)
        expect(verdict).toMatchObject({ executed: true })
      },
    )
  },
)
