import { describe, expect, expectTypeOf, it } from 'vitest'
import { fingerprint } from '../src/fingerprint.ts'

interface FetchJob {
  policyId: string
  since?: string
}

interface OperationOptions<P> {
  type: string
  fingerprint: (payload: P) => string
}

function operation<P>(options: OperationOptions<P>): OperationOptions<P> {
  return options
}

interface HandledOptions<P> {
  fingerprint: (payload: NoInfer<P>) => string
  handler: (job: P) => void
}

function handled<P>(options: HandledOptions<P>): HandledOptions<P> {
  return options
}

describe('the payload type of a fingerprint', () => {
  it('can be given', () => {
    const print = fingerprint<FetchJob>(['policyId', 'since'], { optional: ['since'] })
    expectTypeOf(print).toEqualTypeOf<(payload: FetchJob) => string>()
    expectTypeOf(fingerprint<FetchJob>((job) => ({ id: job.policyId }))).toEqualTypeOf<
      (p: FetchJob) => string
    >()
    // @ts-expect-error: not a field of the job
    fingerprint<FetchJob>(['policy'])
    // @ts-expect-error: not a field of the job
    expect(() => fingerprint<FetchJob>(['policyId'], { optional: ['policy'] })).toThrow(/optional/)
  })

  it('comes from where the fingerprint is used', () => {
    const options: OperationOptions<FetchJob> = { type: 'fetch', fingerprint: fingerprint(['policyId']) }
    expectTypeOf(options.fingerprint).parameter(0).toEqualTypeOf<FetchJob>()
    operation<FetchJob>({ type: 'fetch', fingerprint: fingerprint(['policyId'], { optional: [] }) })
    operation<FetchJob>({ type: 'fetch', fingerprint: fingerprint([]) })
    operation<FetchJob>({
      type: 'fetch',
      fingerprint: fingerprint((job) => {
        expectTypeOf(job).toEqualTypeOf<FetchJob>()
        return { id: job.policyId }
      }),
    })
    // @ts-expect-error: not a field of the job
    operation<FetchJob>({ type: 'fetch', fingerprint: fingerprint(['policy']) })
  })

  it('comes from the handler beside it, where the option is declared with NoInfer', () => {
    const options = handled({ fingerprint: fingerprint(['policyId']), handler: (job: FetchJob) => void job })
    expectTypeOf(options).toEqualTypeOf<HandledOptions<FetchJob>>()
    handled<FetchJob>({ fingerprint: fingerprint(['policyId']), handler: () => {} })
    // @ts-expect-error: not a field of the job
    handled({ fingerprint: fingerprint(['policy']), handler: (job: FetchJob) => void job })
  })

  it('comes from the parameter of a deriving function', () => {
    const derived = fingerprint((job: FetchJob) => ({ id: job.policyId, day: job.since }), {
      optional: ['day'],
    })
    expectTypeOf(derived).toEqualTypeOf<(payload: FetchJob) => string>()
    expectTypeOf(operation({ type: 'fetch', fingerprint: derived })).toEqualTypeOf<
      OperationOptions<FetchJob>
    >()
    // @ts-expect-error: not a fact
    fingerprint((job: FetchJob) => ({ id: job.policyId }), { optional: ['day'] })
  })
})
