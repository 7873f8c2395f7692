import { randomUUID } from 'node:crypto'
import type { JobIdentity } from '@opsledger/core'
import { toRunRequest } from '@opsledger/core/guard'
import { type ScriptedClaim, type ScriptedWorker, scriptedWorker } from './scripted-worker.ts'
import type { Queryable } from './variants.ts'

/** A claim and its run, as a settlement under the claim's fence meets them, and what it is to be told. */
export interface SettlementState {
  readonly answer: 'settled' | 'already_settled' | 'superseded'
  /** What it writes. `claim`: nothing of it is recorded, but the claim has no other to let it go. */
  readonly writes: 'run and claim' | 'claim' | 'nothing'
  leaveSo(work: Work): Promise<ScriptedClaim>
}

/** Work of a workspace of its own, so that a sweep finds no other. */
export interface Work {
  readonly pool: Queryable
  readonly job: JobIdentity
  readonly jobUnderRunId: JobIdentity
  readonly worker: ScriptedWorker
}

type Leave = SettlementState['leaveSo']
const settled = (leaveSo: Leave): SettlementState => ({ answer: 'settled', writes: 'run and claim', leaveSo })
const alreadySettled = (leaveSo: Leave): SettlementState => ({
  answer: 'already_settled',
  writes: 'nothing',
  leaveSo,
})
const superseded = (leaveSo: Leave): SettlementState => ({ answer: 'superseded', writes: 'nothing', leaveSo })
const lettingGo = ({ answer, leaveSo }: SettlementState): SettlementState => ({
  answer,
  writes: 'claim',
  leaveSo,
})

/** More attempts than a run's history keeps. */
const MANY_ATTEMPTS = 21

export const SETTLEMENT_STATES: Readonly<Record<string, SettlementState>> = {
  'held, its run executing': settled(begin),
  'held under a run id': settled(({ worker, jobUnderRunId }) => worker.admit(jobUnderRunId, 'first')),
  'held by the second attempt, after failed items': settled(async (work) => {
    await settleBy('settle', work, await begin(work), 'retrying')
    return begin(work, 'second')
  }),
  'held after more attempts than a history keeps': settled(async (work) => {
    for (let attempt = 1; attempt <= MANY_ATTEMPTS; attempt++)
      await work.worker.settle(await begin(work), 'retrying')
    return begin(work)
  }),
  'held, with progress reported': settled(async (work) => {
    const claim = await begin(work)
    const progress = { total: 9, processed: 5, failed: 1 }
    await call(work, 'report_progress($1)', { run_id: claim.runId, fence: claim.fence, progress })
    return claim
  }),
  'held under a new term': settled(async (work) => {
    const claim = await begin(work)
    await work.worker.readopt(claim)
    return claim
  }),
  'held, its lease over, and nobody came': settled(async (work) => {
    const claim = await begin(work)
    await work.worker.expire()
    return claim
  }),

  'settled before: cooling down': alreadySettled(succeed),
  'settled before: without a cooldown': alreadySettled((work) => succeed(work, 0)),
  'settled before: past its cooldown': alreadySettled((work) => succeed(work, 1)),
  'settled before: waiting for its retry': alreadySettled(fail),
  'settled before: retried by an attempt that executes': alreadySettled(async (work) => {
    const claim = await fail(work)
    await begin(work, 'second')
    return claim
  }),
  'settled before: retried by an attempt that ended': alreadySettled(async (work) => {
    const claim = await fail(work)
    await work.worker.settle(await begin(work, 'second'), 'succeeded')
    return claim
  }),
  'settled before: executed again by another delivery': alreadySettled(async (work) => {
    const claim = await succeed(work, 0)
    await begin(work, 'second')
    return claim
  }),
  'settled before: its claim pruned': alreadySettled(async (work) =>
    pruneClaim(work, await succeed(work, 0)),
  ),
  'settled before: its run pruned': alreadySettled(async (work) => pruneRun(work, await succeed(work))),
  'settled before: its run alone (by hand)': lettingGo(
    alreadySettled(async (work) => {
      const claim = await begin(work)
      await settleBy('settle_run_batch', work, claim, 'succeeded')
      return claim
    }),
  ),
  'settled before: its run alone, for a retry (by hand)': lettingGo(
    alreadySettled(async (work) => {
      const claim = await begin(work)
      await settleBy('settle_run_batch', work, claim, 'retrying')
      return claim
    }),
  ),
  'let go without its run (by hand)': superseded(async (work) => {
    const claim = await begin(work)
    await work.pool.query(
      `update opsledger.job_claim set state = 'free', settled_at = clock_timestamp() where identity = $1`,
      [claim.identity],
    )
    return claim
  }),
  'let go as an orphan': superseded(letGo),
  'let go as an orphan, and pruned': superseded(async (work) => pruneClaim(work, await letGo(work))),
  'let go as an orphan, its run taken over by one that only records': superseded(async (work) => {
    const lost = await letGo(work)
    await record(work)
    return lost
  }),

  'taken over by another worker': superseded(async (work) => (await takeOver(work)).lost),
  'taken over by another worker, which succeeded': superseded(async (work) => {
    const { lost, next, other } = await takeOver(work)
    await other.settle(next, 'succeeded')
    return lost
  }),
  'taken over by another worker, which failed': superseded(async (work) => {
    const { lost, next, other } = await takeOver(work)
    await other.settle(next, 'retrying')
    return lost
  }),
  'taken over by work that records no run': superseded(async (work) => {
    const lost = await begin(work)
    await work.worker.expire()
    const other = await scriptedWorker(work.pool)
    await admitUnrecorded(work.pool, work.job, other.termId)
    return lost
  }),
  'swept for its lost worker': superseded(async (work) => {
    const lost = await begin(work)
    await sweep(work)
    return lost
  }),
  'swept, and executed again': superseded(async (work) => {
    const lost = await begin(work)
    await sweep(work)
    const other = await scriptedWorker(work.pool)
    await other.admit(work.job, 'first', 2)
    return lost
  }),
  'swept, and executed again with success': superseded(async (work) => {
    const lost = await begin(work)
    await sweep(work)
    const other = await scriptedWorker(work.pool)
    await other.settle(await other.admit(work.job, 'first', 2), 'succeeded')
    return lost
  }),
  'swept, and its claim pruned': superseded(async (work) => {
    const lost = await begin(work)
    await sweep(work)
    return pruneClaim(work, lost)
  }),
  'settled before: its run pruned, and executed again': superseded(async (work) => {
    const forgotten = await pruneRun(work, await succeed(work, 0))
    await work.worker.settle(await begin(work, 'second'), 'succeeded')
    return forgotten
  }),
  'pruned, claim and run': superseded(async (work) =>
    pruneRun(work, await pruneClaim(work, await succeed(work, 0))),
  ),

  'held, its run taken over by an operation that only records': lettingGo(
    superseded(async (work) => {
      const lost = await begin(work)
      await record(work)
      return lost
    }),
  ),
  'held, its run taken over and ended by one that only records': lettingGo(
    superseded(async (work) => {
      const lost = await begin(work)
      await settleBy('settle_run_batch', work, await record(work), 'succeeded')
      return lost
    }),
  ),
  'held, its run taken over and failed by one that only records': lettingGo(
    superseded(async (work) => {
      const lost = await begin(work)
      await settleBy('settle_run_batch', work, await record(work), 'retrying')
      return lost
    }),
  ),
  'held, its run taken over by one that only records, and pruned': lettingGo(
    superseded(async (work) => {
      const lost = await begin(work)
      await settleBy('settle_run_batch', work, await record(work), 'succeeded')
      return pruneRun(work, lost)
    }),
  ),
  'held, its run swept by a ledger without a guard': lettingGo(
    superseded(async (work) => {
      const lost = await begin(work)
      await sweep(work, 'sweep_runs')
      return lost
    }),
  ),
}

function begin({ worker, job }: Work, deliveryId = 'first'): Promise<ScriptedClaim> {
  return worker.admit(job, deliveryId)
}

async function succeed(work: Work, cooldownMs = 900_000): Promise<ScriptedClaim> {
  const claim = await begin(work)
  await work.worker.settle(claim, 'succeeded', cooldownMs)
  return claim
}

async function fail(work: Work): Promise<ScriptedClaim> {
  const claim = await begin(work)
  await work.worker.settle(claim, 'retrying')
  return claim
}

async function letGo(work: Work): Promise<ScriptedClaim> {
  const claim = await begin(work)
  const suspect = { identity: claim.identity, work_key: work.job.workKey, run_id: claim.runId }
  await call(work, 'free_orphans($1, $2, $3, $4)', suspect, work.worker.termId, '[]', claim.fence)
  return claim
}

async function takeOver(work: Work) {
  const lost = await begin(work)
  await work.worker.expire()
  const other = await scriptedWorker(work.pool)
  return { lost, next: await other.admit(work.job, 'second'), other }
}

async function sweep(work: Work, name = 'sweep') {
  await work.worker.expire()
  const hourMs = 3_600_000
  const { runs } = (await callWith(work.pool, `${name}($1, '{}', $2, 10, null)`, [
    work.job.scope.workspaceId,
    hourMs,
  ])) as { runs: unknown[] }
  if (runs.length !== 1) throw new Error(`Swept ${runs.length} runs, not the one`)
}

/** As an operation without a guard begins, whose work it is as well. */
export async function record({ pool, job }: Pick<Work, 'pool' | 'job'>): Promise<ScriptedClaim> {
  const { termId } = await scriptedWorker(pool)
  const answers = await callWith(pool, 'start_runs($1, $2)', [JSON.stringify([requestOf(job)]), termId])
  return (answers as [ScriptedClaim])[0]
}

/** @returns the claim of work that records no run */
export async function admitUnrecorded(
  pool: Queryable,
  job: JobIdentity,
  termId: string,
): Promise<ScriptedClaim> {
  const request = { run: requestOf(job), records_run: false, live_fences: [], orphan_fence: null }
  const answers = await callWith(pool, 'admit($1, $2, false)', [JSON.stringify([request]), termId])
  const [answer] = answers as [ScriptedClaim & { verdict: string }]
  if (answer.verdict !== 'admitted') throw new Error(`Scripted admission: ${JSON.stringify(answer)}`)
  return answer
}

const requestOf = (job: JobIdentity) =>
  toRunRequest(
    { job, newRunId: randomUUID(), delivery: { id: 'other', attempt: 1, maxAttempts: 5 }, context: null },
    0,
  )

/** Without a cooldown. `settle_run_batch` settles the run alone, and leaves the claim as it is. */
async function settleBy(
  name: 'settle' | 'settle_run_batch',
  { pool }: Work,
  { runId, identity, fence }: ScriptedClaim,
  ending: 'succeeded' | 'retrying',
) {
  const hasEnded = ending === 'succeeded'
  const settlement = {
    n: 0,
    run_id: runId,
    identity,
    fence,
    status: hasEnded ? 'completed' : 'retrying',
    outcome: hasEnded ? 'succeeded' : 'pending',
    total: 3,
    processed: 2,
    failed: hasEnded ? 0 : 1,
    reason_code: hasEnded ? null : 'unknown.error',
    message: hasEnded ? null : 'scripted',
    cooldown_ms: 0,
  }
  await callWith(pool, `${name}($1)`, [JSON.stringify([settlement])])
}

async function pruneClaim({ pool }: Work, claim: ScriptedClaim): Promise<ScriptedClaim> {
  await pool.query(`delete from opsledger.job_claim where identity = $1 and state = 'free'`, [claim.identity])
  return claim
}

async function pruneRun({ pool }: Work, claim: ScriptedClaim): Promise<ScriptedClaim> {
  await pool.query('delete from opsledger.operation_run where id = $1 and completed_at is not null', [
    claim.runId,
  ])
  return claim
}

/** The function takes a list of one first. */
const call = ({ pool }: Work, text: string, one: object, ...values: unknown[]) =>
  callWith(pool, text, [JSON.stringify([one]), ...values])

async function callWith(pool: Queryable, text: string, values: unknown[]): Promise<unknown> {
  const { rows } = await pool.query<{ answer: unknown }>(`select opsledger.${text} as answer`, values)
  return rows[0]!.answer
}
