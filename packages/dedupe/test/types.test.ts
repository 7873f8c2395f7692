import {
  createLedger,
  type Delivery,
  type HandlerContext,
  type Holder,
  type Operation,
  type Recorder,
  type Run,
  type RunningRun,
  type SettlementAnswer,
  type SkipReason,
  type Verdict,
} from '@opsledger/core'
import { createGuard, type DedupeGuard, type Explanation, fingerprint } from '@opsledger/dedupe'
import { describe, expectTypeOf, test } from 'vitest'

/** Checked by the compiler; nothing here is connected or executed. */
const ledger = createLedger({ connection: 'postgres://nobody@127.0.0.1:1/none' })
const guard = createGuard(ledger)
const delivery: Delivery = { id: 'd1', attempt: 1, maxAttempts: 3 }

interface Fetch {
  readonly workspaceId: string
  readonly tenantId: string
  readonly policyId: string
  readonly since?: string
}

const scope = ({ workspaceId, tenantId }: Fetch) => ({ workspaceId, tenantId })

describe('the payload', () => {
  test('is inferred from `scope` alone, and everything else follows', () => {
    const operation = ledger.operation({
      type: 'assignment.fetch',
      guard,
      scope: ({ workspaceId, tenantId }: Fetch) => ({ workspaceId, tenantId }),
      runId: (payload) => {
        expectTypeOf(payload).toEqualTypeOf<Fetch>()
        return undefined
      },
      fingerprint: (payload) => {
        expectTypeOf(payload).toEqualTypeOf<Fetch>()
        return payload.policyId
      },
      context: (payload) => {
        expectTypeOf(payload).toEqualTypeOf<Fetch>()
        return { since: payload.since }
      },
      handler: (context) => {
        expectTypeOf(context).toEqualTypeOf<HandlerContext<Fetch>>()
        expectTypeOf(context.payload).toEqualTypeOf<Fetch>()
        expectTypeOf(context.counts).toEqualTypeOf<Recorder>()
        expectTypeOf(context.signal).toEqualTypeOf<AbortSignal>()
        expectTypeOf(context.fence).toEqualTypeOf<number>()
        expectTypeOf(context.run).toEqualTypeOf<RunningRun>()
        expectTypeOf(context.run).toExtend<Run>()
        return 1
      },
    })
    expectTypeOf(operation).parameters.toEqualTypeOf<[Fetch, Delivery]>()
    expectTypeOf(operation.open).parameters.toEqualTypeOf<[Fetch]>()
    expectTypeOf(operation.identify).parameters.toEqualTypeOf<[Fetch]>()
  })

  test('or is given as the type parameter', () => {
    const operation = ledger.operation<Fetch, Promise<string>>({
      type: 'assignment.fetch',
      guard,
      scope: (payload) => {
        expectTypeOf(payload).toEqualTypeOf<Fetch>()
        return payload
      },
      fingerprint: fingerprint(['policyId']),
      handler: async ({ payload }) => payload.policyId,
    })
    expectTypeOf(operation).toEqualTypeOf<Operation<Fetch, Promise<string>>>()
    expectTypeOf(operation).returns.toEqualTypeOf<Promise<Verdict<string>>>()
  })

  test('may be given with the value alone, for an async handler too', () => {
    const operation = ledger.operation<Fetch, string>({
      type: 'assignment.fetch',
      guard,
      scope,
      fingerprint: fingerprint(['policyId']),
      handler: async ({ payload }) => payload.policyId,
    })
    expectTypeOf(operation).returns.toEqualTypeOf<Promise<Verdict<string>>>()
  })

  test('of a system job is inferred from `workspaceId`', () => {
    const job = ledger.systemJob({
      type: 'ops.reconcile_adapter_runs',
      guard,
      workspaceId: ({ workspaceId }: { workspaceId: string }) => workspaceId,
      handler: ({ payload }) => {
        expectTypeOf(payload).toEqualTypeOf<{ workspaceId: string }>()
      },
    })
    expectTypeOf(job).parameters.toEqualTypeOf<[{ workspaceId: string }, Delivery]>()
    expectTypeOf(job).returns.toEqualTypeOf<Promise<Verdict<void>>>()
  })

  test('that does not fit is refused', () => {
    const operation = ledger.operation({
      type: 'a.b',
      guard,
      scope,
      fingerprint: () => 'x',
      handler: () => {},
    })
    const misuse = () => {
      // @ts-expect-error no policyId
      operation({ workspaceId: 'w', tenantId: 't' }, delivery)
      // @ts-expect-error a delivery without its maximum
      operation({ workspaceId: 'w', tenantId: 't', policyId: 'p' }, { id: 'd', attempt: 1 })
      // @ts-expect-error a system job without a guard
      ledger.systemJob({ type: 'a.b', workspaceId: () => 'w', handler: () => {} })
    }
    expectTypeOf(misuse).toBeFunction()
  })
})

describe('which work a payload is', () => {
  interface Named extends Fetch {
    readonly operationRunId: string
    readonly maybeRunId?: string
  }
  const common = { type: 'a.b', scope: (named: Named) => scope(named), handler: () => {} }

  test('is said by a fingerprint, by a run id that every payload has, or by both, with a guard or without', () => {
    const each = () => {
      ledger.operation({ ...common, fingerprint: () => 'x' })
      ledger.operation({ ...common, guard, fingerprint: () => 'x', runId: ({ maybeRunId }) => maybeRunId })
      const byRunId = ledger.operation({
        ...common,
        runId: (payload) => {
          expectTypeOf(payload).toEqualTypeOf<Named>()
          return payload.operationRunId
        },
      })
      expectTypeOf(byRunId).parameters.toEqualTypeOf<[Named, Delivery]>()
    }
    expectTypeOf(each).toBeFunction()
  })

  test('must be said', () => {
    const misuse = () => {
      // @ts-expect-error recorded only, and neither a fingerprint nor a run id
      ledger.operation({ type: 'a.b', scope, handler: () => {} })
      // @ts-expect-error the same with a guard
      ledger.operation({ type: 'a.b', scope, guard, handler: () => {} })
      // @ts-expect-error a run id that a payload may lack
      ledger.operation({ ...common, runId: ({ maybeRunId }: Named) => maybeRunId })
      // @ts-expect-error a promise of a fingerprint
      ledger.operation({ ...common, fingerprint: async () => 'x' })
      // @ts-expect-error a ledger is no guard
      ledger.operation({ ...common, fingerprint: () => 'x', guard: ledger })
    }
    expectTypeOf(misuse).toBeFunction()
  })
})

describe('the fingerprint', () => {
  test('knows the fields of the payload it stands beside', () => {
    ledger.operation({
      type: 'assignment.fetch',
      guard,
      scope,
      fingerprint: fingerprint(['policyId', 'since'], { optional: ['since'] }),
      handler: () => {},
    })
    const misuse = () => {
      ledger.operation({
        type: 'assignment.fetch',
        guard,
        scope,
        // @ts-expect-error a typo
        fingerprint: fingerprint(['policyID']),
        handler: () => {},
      })
      ledger.operation({
        type: 'assignment.fetch',
        guard,
        scope,
        // @ts-expect-error a typo in what may be absent
        fingerprint: fingerprint(['policyId'], { optional: ['sinse'] }),
        handler: () => {},
      })
    }
    expectTypeOf(misuse).toBeFunction()
  })

  test('may be derived, from the payload as it is', () => {
    ledger.operation({
      type: 'assignment.fetch',
      guard,
      scope,
      fingerprint: fingerprint((payload) => {
        expectTypeOf(payload).toEqualTypeOf<Fetch>()
        return { policy: payload.policyId.toLowerCase() }
      }),
      handler: () => {},
    })
  })
})

describe('the verdict', () => {
  const misfit = () =>
    ledger.operation({ type: 'a.b', guard, scope, fingerprint: () => 'x', handler: () => 42 })

  test('is narrowed by one key', () => {
    const look = (verdict: Awaited<ReturnType<ReturnType<typeof misfit>>>) => {
      if (verdict.executed) {
        expectTypeOf(verdict.value).toEqualTypeOf<number>()
        expectTypeOf(verdict.run).toEqualTypeOf<Run>()
        expectTypeOf(verdict.settlement).toEqualTypeOf<SettlementAnswer>()
        // @ts-expect-error what was executed has no reason to be skipped
        void verdict.reason
        return
      }
      expectTypeOf(verdict.reason).toEqualTypeOf<SkipReason>()
      expectTypeOf(verdict.action).toEqualTypeOf<'discard' | 'retry_later'>()
      expectTypeOf(verdict.retryAfterMs).toEqualTypeOf<number>()
      expectTypeOf(verdict.holder).toEqualTypeOf<Holder | null>()
      expectTypeOf(verdict.run).toEqualTypeOf<Run | null>()
      // @ts-expect-error what was skipped has no value
      void verdict.value
    }
    expectTypeOf(look).toBeFunction()
  })

  test('has the value of the handler, whether it is async or not', () => {
    const common = { type: 'a.b', guard, scope, fingerprint: () => 'x' }
    const sync = ledger.operation({ ...common, handler: () => 'text' })
    const async = ledger.operation({ ...common, handler: async () => ({ pages: 3 }) })
    const both = ledger.operation({
      ...common,
      handler: ({ payload }) => (payload.since === undefined ? 'now' : Promise.resolve('later')),
    })
    const none = ledger.operation({ ...common, handler: async () => {} })
    expectTypeOf(sync).returns.resolves.toEqualTypeOf<Verdict<string>>()
    expectTypeOf(async).returns.resolves.toEqualTypeOf<Verdict<{ pages: number }>>()
    expectTypeOf(both).returns.resolves.toEqualTypeOf<Verdict<string>>()
    expectTypeOf(none).returns.resolves.toEqualTypeOf<Verdict<void>>()
  })

  test('names every reason, action and answer', () => {
    expectTypeOf<SkipReason>().toEqualTypeOf<
      'overlap' | 'cooldown' | 'already_terminal' | 'not_canonical' | 'lock_busy'
    >()
    expectTypeOf<SettlementAnswer>().toEqualTypeOf<
      'settled' | 'already_settled' | 'superseded' | 'unconfirmed'
    >()
    const advise = ({ reason }: Extract<Verdict<never>, { executed: false }>): string => {
      switch (reason) {
        case 'overlap':
        case 'not_canonical':
          return 'somebody is at it'
        case 'cooldown':
        case 'already_terminal':
          return 'it is done'
        case 'lock_busy':
          return 'soon'
        default:
          return reason satisfies never
      }
    }
    expectTypeOf(advise).returns.toEqualTypeOf<string>()
  })

  test('says of its holder what may be unknown', () => {
    expectTypeOf<Holder['runId']>().toEqualTypeOf<string | null>()
    expectTypeOf<Holder['attempt']>().toEqualTypeOf<number | null>()
    expectTypeOf<Holder['host']>().toEqualTypeOf<string | null>()
    expectTypeOf<Holder['pid']>().toEqualTypeOf<number | null>()
    expectTypeOf<Holder['fence']>().toEqualTypeOf<number>()
    expectTypeOf<Holder['deliveryId']>().toEqualTypeOf<string>()
    expectTypeOf<Holder['since']>().toEqualTypeOf<Date>()
  })
})

describe('the guard', () => {
  test('explains and releases what an operation identifies, and options are told apart', () => {
    expectTypeOf(guard).toEqualTypeOf<DedupeGuard>()
    expectTypeOf(guard.explain).returns.resolves.toEqualTypeOf<Explanation>()
    expectTypeOf(guard.release).returns.resolves.toEqualTypeOf<number>()
    const look = (explanation: Explanation) => {
      if (explanation.state === 'held') expectTypeOf(explanation.pid).toEqualTypeOf<number | null>()
      if (explanation.state === 'cooling') expectTypeOf(explanation.until).toEqualTypeOf<Date>()
      if (explanation.state === 'free') expectTypeOf(explanation.settledAt).toEqualTypeOf<Date | null>()
    }
    expectTypeOf(look).toBeFunction()
    const misuse = () => {
      // @ts-expect-error no such mode
      createGuard(ledger, { exclusion: 'advisory' })
      // @ts-expect-error durations are numbers of milliseconds
      createGuard(ledger, { cooldownMs: '15m' })
    }
    expectTypeOf(misuse).toBeFunction()
  })
})
