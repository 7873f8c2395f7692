import { randomUUID } from 'node:crypto'
import { type JobIdentity, jobIdentity, type Ledger } from '@opsledger/core'
import { type AdmissionRequest, runtimeOf } from '@opsledger/core/guard'
import { createGuard, type DedupeGuard, type ExclusionMode } from '@opsledger/dedupe'
import type { Cell } from './claim-table.ts'
import { type ScriptedClaim, scriptedWorker } from './scripted-worker.ts'
import { SUCCEEDED } from './settlements.ts'
import type { Queryable } from './variants.ts'

/** Everything a cell needs: a holder that is in the state, and a contender that meets it. */
interface Scene {
  readonly job: JobIdentity
  settle(): Promise<string>
  readopt(): Promise<string>
}

export interface Walk {
  /** Plays one cell from nothing. @returns what came of it, in the words of the table */
  play(cell: Cell): Promise<readonly string[]>
}

const COOLDOWN_MS = 900_000

export function walkClaimTable(
  pool: Queryable,
  newLedger: () => Ledger,
  exclusion: ExclusionMode,
  scope = 'w',
): Walk {
  const holder = guarded(newLedger(), exclusion)
  const contender = guarded(newLedger(), exclusion)

  const request = (job: JobIdentity, id: string, attempt: number): AdmissionRequest => ({
    job,
    newRunId: randomUUID(),
    delivery: { id, attempt, maxAttempts: 5 },
    context: null,
  })

  /** `late`'s own run of this work has succeeded; then the state of the table. */
  const setUp = async (state: string, asking: ReturnType<typeof guarded>): Promise<Scene> => {
    const job = jobIdentity({
      scope: { workspaceId: scope, tenantId: 't' },
      type: 'assignment.fetch',
      fingerprint: randomUUID(),
    })
    const past = await scriptedWorker(pool)
    await past.settle(await past.admit(job, deliveryId(job, 'late')), 'succeeded', 0)

    const d1 = deliveryId(job, 'd1')
    if (state === 'live') {
      const admission = await holder.guard.admit(request(job, d1, 1))
      if (!admission.admitted) throw new Error('The holder was refused')
      const { claim } = admission
      return {
        job,
        settle: async () => (await holder.guard.settle(claim, SUCCEEDED, COOLDOWN_MS)).answer,
        async readopt() {
          const { kept } = await holder.guard.adopt([claim], (await scriptedWorker(pool)).termId)
          return kept.has(claim.fence) ? 'kept' : 'taken'
        },
      }
    }
    const worker = await scriptedWorker(pool, state === 'orphan' ? await asking.termId() : undefined)
    const claim = await worker.admit(job, d1)
    if (state === 'expired') await worker.expire()
    if (state === 'retired') await worker.retire()
    if (state === 'free') await worker.settle(claim, 'retrying')
    if (state === 'cooling') await worker.settle(claim, 'succeeded')
    return {
      job,
      settle: () => worker.settle(claim, 'succeeded'),
      readopt: () => (state === 'orphan' ? replaceTerm(asking) : readoptScripted(worker, claim)),
    }
  }

  const replaceTerm = async (asking: ReturnType<typeof guarded>) => {
    await pool.query('select opsledger.retire_own_term($1)', [await asking.termId()])
    await asking.runtime.term.verify(5_000)
    return 'nothing'
  }

  const stateOf = async (job: JobIdentity, asking: ReturnType<typeof guarded>): Promise<string> => {
    const { rows } = await pool.query<{ state: string; worker_id: string; lease: string }>(
      `select case when c.state = 'cooling' and c.cooldown_until <= clock_timestamp() then 'free' else c.state end
         as state, c.worker_id,
         case when l.retired_at is not null then 'retired' when l.expires_at <= clock_timestamp() then 'expired'
           else 'live' end as lease
       from opsledger.job_claim c left join opsledger.worker_lease l on l.id = c.worker_id
       where c.identity = $1`,
      [job.identity],
    )
    const row = rows[0]
    if (row === undefined || row.state === 'free') return 'free'
    if (row.state === 'cooling') return 'cooling'
    const isOrphan =
      row.lease === 'live' && row.worker_id === (await asking.termId()) && !asking.executes(job)
    return isOrphan ? 'orphan' : row.lease
  }

  const claimRow = async (job: JobIdentity) =>
    (await pool.query('select * from opsledger.job_claim where identity = $1', [job.identity])).rows[0]

  return {
    async play({ state, event }) {
      const asking = event === 're-adopt' && state === 'orphan' ? guarded(newLedger(), exclusion) : contender
      const { job, settle, readopt } = await setUp(state, asking)
      const answered = async (answer: string) => [await stateOf(job, asking), answer]
      switch (event) {
        case 'settle':
          return answered(await settle())
        case 'settle again':
          await settle()
          return answered(await settle())
        case 'sweep': {
          const swept = await asking.ledger.sweep({ workspaceId: scope })
          return answered(swept.some((run) => run.identity === job.identity) ? 'swept' : 'nothing')
        }
        case 're-adopt':
          return answered(await readopt())
        case 'release':
          return answered((await asking.guard.release(job)) === 1 ? 'released' : 'nothing')
      }
      const before = await claimRow(job)
      const id = deliveryId(job, { new: 'd2', same: 'd1', retried: 'd1', late: 'late' }[event]!)
      const admission = await asking.guard.admit(request(job, id, event === 'retried' ? 2 : 1))
      if (admission.admitted) {
        asking.executing.add(job.identity)
        const after = [await stateOf(job, asking), 'admitted', 'execute']
        if (before !== undefined && admission.claim.fence <= Number(before.fence))
          after.push('with an old fence')
        return after
      }
      const { reason, action } = admission.refusal
      const changed =
        JSON.stringify(await claimRow(job)) === JSON.stringify(before) ? [] : ['changed the claim']
      return [await stateOf(job, asking), reason, action, ...changed]
    },
  }
}

async function readoptScripted(worker: Awaited<ReturnType<typeof scriptedWorker>>, claim: ScriptedClaim) {
  return (await worker.readopt(claim)) ? 'kept' : 'taken'
}

/** Queues number their jobs: ids are told apart by the work they are for. */
function deliveryId(job: JobIdentity, name: string): string {
  return `${name}:${job.fingerprint}`
}

function guarded(ledger: Ledger, exclusion: ExclusionMode) {
  const guard: DedupeGuard = createGuard(ledger, { exclusion })
  const runtime = runtimeOf(ledger)
  const executing = new Set<string>()
  // A sweep goes through the guard of the ledger's operations.
  ledger.operation({
    type: 'assignment.fetch',
    scope: () => ({ workspaceId: 'w' }),
    fingerprint: () => 'x',
    guard,
    handler() {},
  })
  return {
    ledger,
    guard,
    runtime,
    executing,
    termId: () => runtime.term.id(),
    executes: (job: JobIdentity) => executing.has(job.identity),
  }
}
