import { setTimeout as sleep } from 'node:timers/promises'

/** How a closed loop of callers is driven. */
export interface LoadOptions {
  /** Callers; each calls again as soon as it has its answer. */
  readonly concurrency: number
  readonly warmUpMs: number
  /** How long, or what is waited for, which is begun when the measurement begins. */
  readonly measure: number | (() => Promise<unknown>)
  /** Awaited beside the load, at the beginning and the end of what is measured. */
  readonly onMark?: (mark: 'begin' | 'end') => Promise<void>
}

export interface LoadResult {
  /** That ended while it was measured. */
  readonly calls: number
  /** With those of the warm-up and those that ended after the measurement. */
  readonly allCalls: number
  readonly elapsedMs: number
  /** Of each of `calls`. */
  readonly latenciesMs: Float64Array
}

/**
 * Calls with 0, 1, 2, … from as many callers as asked for, without a pause between warm-up, measurement and end: what is
 * measured is a steady state. Rejects with the first error of a call, when all callers have stopped.
 */
export async function runLoad(
  call: (index: number) => Promise<unknown>,
  { concurrency, warmUpMs, measure, onMark }: LoadOptions,
): Promise<LoadResult> {
  let next = 0
  let state: 'warm-up' | 'measure' | 'end' = 'warm-up'
  let failure: { error: unknown } | null = null
  const failed = Promise.withResolvers<void>()
  const latencies: number[] = []

  const caller = async () => {
    while (state !== 'end') {
      const beganAt = performance.now()
      await call(next++)
      if (state === 'measure') latencies.push(performance.now() - beganAt)
    }
  }
  const callers = Array.from({ length: concurrency }, () =>
    caller().catch((error) => {
      failure ??= { error }
      state = 'end'
      failed.resolve()
    }),
  )
  const lapse = (time: number | (() => Promise<unknown>)) =>
    Promise.race([typeof time === 'number' ? sleep(time, undefined, { ref: false }) : time(), failed.promise])

  await lapse(warmUpMs)
  await onMark?.('begin')
  const beganAt = performance.now()
  if (failure === null) state = 'measure'
  await lapse(measure)
  const elapsedMs = performance.now() - beganAt
  state = 'end'
  await onMark?.('end')
  await Promise.all(callers)
  if (failure !== null) throw (failure as { error: unknown }).error
  return { calls: latencies.length, allCalls: next, elapsedMs, latenciesMs: Float64Array.from(latencies) }
}
