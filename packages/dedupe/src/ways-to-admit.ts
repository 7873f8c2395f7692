import type { SkipReason } from '@opsledger/core'
import { type AdmittedAnswer, arrayLiteral, type RunRow, toRunRequest } from '@opsledger/core/guard'
import type { ClaimRequest } from './local-registry.ts'

/** One delivery that asks for a claim, with what its process knows of its own claims. */
export interface Ask {
  readonly request: ClaimRequest
  readonly liveFences: number[]
  readonly orphanFence: number | null
}

/** What one of them is answered; `n` is its place in the batch. */
export type Answer = AdmittedAnswer | NotAdmitted

/** The same as the database says it, which knows the term from the question. */
export type Told = Omit<AdmittedAnswer, 'workerId'> | NotAdmitted

type NotAdmitted =
  | { verdict: 'not_this_scope'; n: number }
  | { verdict: 'own_orphan'; n: number; fence: number }
  | RefusedAnswer

export interface RefusedAnswer {
  verdict: SkipReason
  n: number
  discard: boolean
  retryAfterMs: number
  holder: {
    runId: string | null
    attempt: number | null
    workerId: string
    host: string | null
    pid: number | null
    deliveryId: string
    fence: number
    since: string
  } | null
  run: RunRow | null
}

/** How a batch is put to the database: a function of the schema, its arguments before those that all have. */
export type Way = (asks: readonly Ask[]) => {
  readonly name: string
  readonly args: readonly unknown[]
  /** Whether it takes the locks that are to be let go, behind them. */
  readonly letsGo: boolean
  readonly answersFrom: (told: unknown) => Told[] | 'term_retired'
}

/** For whatever is asked: `admit`. */
export const longWay: Way = (asks) => {
  const requests = asks.map(({ request, liveFences, orphanFence }, n) => ({
    run: toRunRequest(request, n),
    records_run: request.recordsRun,
    live_fences: liveFences,
    orphan_fence: orphanFence,
  }))
  return {
    name: 'admit',
    args: [JSON.stringify(requests)],
    letsGo: false,
    answersFrom: (told) => told as Told[] | 'term_retired',
  }
}

interface UnopposedAnswer {
  places: number[] | null
  fences?: number[]
  lockKeys?: string[]
  times?: string[]
  others: Told[] | null
}

/**
 * For recorded work without a run id of its own, asked for the first time: `admit_unopposed`, which says of what it
 * admits only what is not known here.
 */
export const shortWay: Way = (asks) => {
  const places = asks.map((_, place) => place)
  places.sort((a, b) => (workOf(asks[a]!) < workOf(asks[b]!) ? -1 : 1))
  const requests = places.map((place) => asks[place]!.request)
  const args = [
    arrayLiteral(requests, ({ job }) => job.workKey),
    arrayLiteral(requests, ({ newRunId }) => newRunId),
    arrayLiteral(requests, ({ job }) => job.scope.workspaceId),
    arrayLiteral(requests, ({ job }) => job.scope.tenantId),
    arrayLiteral(requests, ({ job }) => job.type),
    arrayLiteral(requests, ({ delivery }) => delivery.id),
    arrayLiteral(requests, ({ delivery }) => delivery.attempt),
    arrayLiteral(requests, ({ delivery }) => delivery.maxAttempts),
    arrayLiteral(requests, ({ context }) => (context === null ? null : JSON.stringify(context))),
  ]
  const answersFrom = (told: unknown): Told[] | 'term_retired' => {
    if (told === 'term_retired') return told
    const { places: admitted, fences, lockKeys, times, others } = told as UnopposedAnswer
    const answers: Told[] = (others ?? []).map((answer) => ({ ...answer, n: places[answer.n]! }))
    fences?.forEach((fence, index) => {
      const sent = admitted === null ? index : admitted[index]! - 1
      const at = times![index]!
      answers.push({
        ...admittedAtOnce(requests[sent]!, places[sent]!),
        lockKey: lockKeys![index]!,
        fence,
        createdAt: at,
        startedAt: at,
      })
    })
    return answers
  }
  return { name: 'admit_unopposed', args, letsGo: true, answersFrom }
}

interface AnswerToOne {
  fence: number
  lockKey: string
  time: string
}

/** As the short way, for a single delivery: `admit_one`. */
export const loneWay: Way = ([ask]) => {
  const { job, newRunId, delivery, context } = ask!.request
  const args = [
    job.workKey,
    newRunId,
    job.scope.workspaceId,
    job.scope.tenantId,
    job.type,
    delivery.id,
    delivery.attempt,
    delivery.maxAttempts,
    context === null ? null : JSON.stringify(context),
  ]
  const answersFrom = (told: unknown): Told[] | 'term_retired' => {
    if (told === 'term_retired' || Array.isArray(told)) return told
    const { fence, lockKey, time } = told as AnswerToOne
    return [{ ...admittedAtOnce(ask!.request, 0), lockKey, fence, createdAt: time, startedAt: time }]
  }
  return { name: 'admit_one', args, letsGo: true, answersFrom }
}

/** What is known of an admission here: a first attempt of the work itself, under the run id that it was sent with. */
const admittedAtOnce = ({ job, newRunId, context }: ClaimRequest, n: number) =>
  ({
    verdict: 'admitted',
    n,
    identity: job.identity,
    workKey: job.workKey,
    runId: newRunId,
    attempt: 1,
    context,
    attemptHistory: null,
  }) as const

const workOf = ({ request }: Ask): string => request.job.workKey
