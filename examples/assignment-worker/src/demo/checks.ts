import { isDeepStrictEqual } from 'node:util'

/** What the ledger, the queue or the provider must say for a claim to count as shown. */
export type Expect = (what: string, actual: unknown, expected: unknown) => void

interface Shown {
  readonly what: string
  /** Empty when it was shown. */
  readonly problems: readonly string[]
}

export interface Checklist {
  readonly shown: readonly Shown[]
  /** Plays it and collects what was not as expected; what it throws counts as a problem, and the rest goes on. */
  show(what: string, play: (expect: Expect) => Promise<void>): Promise<Shown>
}

export function createChecklist(): Checklist {
  const shown: Shown[] = []
  return {
    shown,
    async show(what, play) {
      const problems: string[] = []
      let checks = 0
      const expect: Expect = (subject, actual, expected) => {
        checks++
        if (isDeepStrictEqual(actual, expected)) return
        problems.push(`${subject}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
      }
      try {
        await play(expect)
        if (checks === 0) problems.push('nothing was checked')
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error))
      }
      const result = { what, problems }
      shown.push(result)
      return result
    },
  }
}
