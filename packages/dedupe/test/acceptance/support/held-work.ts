import type { Delivery, HandlerContext, Operation, Verdict } from '@opsledger/core'

export function delivery(id: string, attempt = 1, maxAttempts = 3): Delivery {
  return { id, attempt, maxAttempts }
}

interface Execution<P> {
  readonly context: HandlerContext<P>
  finish(): void
  fail(error: Error): void
}

/** A handler whose executions go on until the test ends them, whatever their signal says. */
export interface HeldWork<P> {
  readonly handler: (context: HandlerContext<P>) => Promise<string>
  readonly executions: readonly Execution<P>[]
  next(): Promise<Execution<P>>
}

export function heldWork<P>(): HeldWork<P> {
  const executions: Execution<P>[] = []
  const untaken: Execution<P>[] = []
  const takers: ((execution: Execution<P>) => void)[] = []
  return {
    executions,
    handler: (context) =>
      new Promise((resolve, reject) => {
        const execution = { context, finish: () => resolve('done'), fail: reject }
        executions.push(execution)
        const take = takers.shift()
        if (take === undefined) untaken.push(execution)
        else take(execution)
      }),
    next: () => {
      const execution = untaken.shift()
      return execution === undefined
        ? new Promise((resolve) => takers.push(resolve))
        : Promise.resolve(execution)
    },
  }
}

export interface Begun<P> extends Execution<P> {
  readonly verdict: Promise<Verdict<string>>
}

/** Resolves when the delivery executes; rejects when it is refused. */
export async function begin<P>(
  operation: Operation<P, Promise<string>>,
  work: HeldWork<P>,
  payload: P,
  arrival: Delivery,
): Promise<Begun<P>> {
  const verdict = operation(payload, arrival)
  const refused = verdict.then((answer) => {
    throw new Error(`The delivery was meant to execute, and got ${JSON.stringify(answer)}`)
  })
  return { ...(await Promise.race([work.next(), refused])), verdict }
}

/** @throws Error unless the verdict says that the delivery executed */
export function executed<T>(verdict: Verdict<T>): Extract<Verdict<T>, { executed: true }> {
  if (!verdict.executed) throw new Error(`Not executed: ${JSON.stringify(verdict)}`)
  return verdict
}

/** @throws Error unless the verdict says that the delivery was refused */
export function refused<T>(verdict: Verdict<T>): Extract<Verdict<T>, { executed: false }> {
  if (verdict.executed) throw new Error(`Executed: ${JSON.stringify(verdict)}`)
  return verdict
}

/**
 * Resolves when one of the deliveries is left without a verdict: the one that executes.
 * @throws Error when another one has executed
 */
export async function allButOne<T>(verdicts: readonly Promise<Verdict<T>>[]) {
  const open = new Set(verdicts)
  const refusals: ReturnType<typeof refused<T>>[] = []
  while (open.size > 1) {
    const { verdict, answer } = await Promise.race(
      Array.from(open, async (pending) => ({ verdict: pending, answer: await pending })),
    )
    open.delete(verdict)
    refusals.push(refused(answer))
  }
  return { refusals, last: [...open][0]! }
}
