import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerEventName, LedgerEvents } from '@opsledger/core'
import type { WorkerProcess } from '@opsledger/testing'

/** More than any scene takes on a busy machine: a scene that waits longer has not shown its claim. */
const WITHIN_MS = 15_000

/** What a worker's ledger published, and which worker it was. */
export type Happening<N extends LedgerEventName = LedgerEventName> = {
  [Name in N]: { readonly name: Name; readonly message: LedgerEvents[Name]; readonly worker: WorkerProcess }
}[N]

export interface Happenings {
  readonly all: readonly Happening[]
  add(happening: Happening): void
  /** Everything from here on is later than what happened before. */
  mark(): number
  /** The first one of these since the mark, or as soon as it happens. */
  next<N extends LedgerEventName>(
    since: number,
    names: readonly N[],
    isMeant?: (happening: Happening<N>) => boolean,
  ): Promise<Happening<N>>
}

export function createHappenings(onEach: (happening: Happening) => void): Happenings {
  const all: Happening[] = []
  const listeners = new Set<() => void>()

  return {
    all,
    add(happening) {
      all.push(happening)
      onEach(happening)
      for (const listener of [...listeners]) listener()
    },
    mark: () => all.length,
    async next<N extends LedgerEventName>(
      since: number,
      names: readonly N[],
      isMeant: (happening: Happening<N>) => boolean = () => true,
    ) {
      const find = () =>
        (all.slice(since) as Happening<N>[]).find((one) => names.includes(one.name) && isMeant(one))
      const { promise, resolve } = Promise.withResolvers<Happening<N>>()
      const look = () => {
        const found = find()
        if (found !== undefined) resolve(found)
      }
      listeners.add(look)
      look()
      const gaveUp = new AbortController()
      try {
        return await Promise.race([
          promise,
          sleep(WITHIN_MS, undefined, { signal: gaveUp.signal }).then(() => {
            throw new Error(`none of ${names.join(', ')} happened within ${WITHIN_MS} ms`)
          }),
        ])
      } finally {
        gaveUp.abort()
        listeners.delete(look)
      }
    },
  }
}
