import { randomUUID } from 'node:crypto'
import type { JobIdentity } from '@opsledger/core'
import { toRunRequest } from '@opsledger/core/guard'
import type { Queryable } from './variants.ts'

export interface ScriptedClaim {
  readonly identity: string
  readonly runId: string
  readonly fence: number
}

/**
 * A worker process played by the test, one statement at a time: its term never renews itself, it holds no lock
 * between two statements, and it forgets what it is told to forget.
 */
export interface ScriptedWorker {
  readonly termId: string
  admit(job: JobIdentity, deliveryId: string, attempt?: number): Promise<ScriptedClaim>
  /** @returns the settlement's answer */
  settle(claim: ScriptedClaim, ending: 'succeeded' | 'retrying', cooldownMs?: number): Promise<string>
  expire(): Promise<void>
  retire(): Promise<void>
  /** Moves the claim to a new term. @returns whether it was still its own */
  readopt(claim: ScriptedClaim): Promise<boolean>
}

export async function scriptedWorker(
  pool: Queryable,
  termId: string = randomUUID(),
): Promise<ScriptedWorker> {
  const call = async (text: string, values: unknown[]) =>
    (await pool.query<{ answer: never }>(`select ${text} as answer`, values)).rows[0]!.answer as unknown
  await call('opsledger.register_term($1, $2, $3, $4)', [termId, 'scripted', 1, 600_000])

  return {
    termId,
    async admit(job, deliveryId, attempt = 1) {
      const delivery = { id: deliveryId, attempt, maxAttempts: 5 }
      const run = toRunRequest({ job, newRunId: randomUUID(), delivery, context: null }, 0)
      const request = { run, records_run: true, live_fences: [], orphan_fence: null }
      const answers = await call('opsledger.admit($1, $2, false)', [JSON.stringify([request]), termId])
      const [answer] = answers as [ScriptedClaim & { verdict: string }]
      if (answer.verdict !== 'admitted') throw new Error(`Scripted admission: ${JSON.stringify(answer)}`)
      return answer
    },
    async settle({ identity, runId, fence }, ending, cooldownMs = 900_000) {
      const isTerminal = ending === 'succeeded'
      const settlement = {
        n: 0,
        run_id: runId,
        identity,
        fence,
        status: isTerminal ? 'completed' : 'retrying',
        outcome: isTerminal ? 'succeeded' : 'pending',
        total: 1,
        processed: 1,
        failed: 0,
        reason_code: isTerminal ? null : 'unknown.error',
        message: isTerminal ? null : 'scripted',
        cooldown_ms: isTerminal ? cooldownMs : 0,
      }
      const answers = await call('opsledger.settle($1)', [JSON.stringify([settlement])])
      return (answers as [{ answer: string }])[0].answer
    },
    async expire() {
      await pool.query('update opsledger.worker_lease set expires_at = started_at where id = $1', [termId])
    },
    async retire() {
      await call('opsledger.retire_own_term($1)', [termId])
    },
    async readopt({ identity, runId, fence }) {
      const newTermId = randomUUID()
      await call('opsledger.register_term($1, $2, $3, $4)', [newTermId, 'scripted', 1, 600_000])
      const reply = await call('opsledger.adopt($1, $2)', [
        JSON.stringify([{ identity, run_id: runId, fence }]),
        newTermId,
      ])
      return (reply as { kept: number[] }).kept.includes(fence)
    },
  }
}
