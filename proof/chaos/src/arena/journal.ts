import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Counts, Holder, SettlementAnswer, SkipReason } from '@opsledger/core'

/** Nanoseconds of the monotonic clock, which all processes of a machine share and no clock change moves. */
export type Nanos = bigint

export const nanos = (): Nanos => process.hrtime.bigint()

/**
 * What really happened, told past the library: by the handlers (`started`, `ended`), by who called it (`answered`), and
 * by the process itself when it fell (`fell`).
 */
export type Mark = { readonly at: Nanos; readonly pid: number } & (
  | {
      readonly mark: 'started'
      readonly work: string
      readonly fence: number
      readonly runId: string
      readonly attempt: number
      readonly deliveryId: string
    }
  | {
      readonly mark: 'ended'
      readonly fence: number
      readonly ending: Ending
      /** What this attempt is to be remembered with, if it is the one that counts. */
      readonly counts: Counts
    }
  | {
      readonly mark: 'answered'
      readonly askedAt: Nanos
      readonly work: string
      readonly deliveryId: string
      readonly answer: Answer
    }
  | { readonly mark: 'fell'; readonly why: string }
)

/** `failed`: for good. `stopped`: by its signal. */
export type Ending = 'returned' | 'threw' | 'failed' | 'stopped'

export type Answer =
  | {
      readonly kind: 'executed'
      readonly fence: number
      readonly settlement: SettlementAnswer
      readonly isHandedBack: boolean
    }
  | {
      readonly kind: 'skipped'
      readonly reason: SkipReason
      readonly action: 'discard' | 'retry_later'
      readonly holder: Holder | null
      readonly runId: string | null
    }
  /** The library threw before it executed anything. `sqlState`: what the server said, if it said something. */
  | {
      readonly kind: 'unavailable'
      readonly code: string
      readonly sqlState: string | null
      readonly message: string
    }

/** Appends to a file of this process's own, synchronously: a SIGKILL loses nothing that was marked. */
export function openJournal(folder: string) {
  const file = openSync(join(folder, `${process.pid}-${nanos()}.ndjson`), 'a')
  return {
    mark(mark: Mark): void {
      writeSync(
        file,
        `${JSON.stringify(mark, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))}\n`,
      )
    },
    close: () => closeSync(file),
  }
}

/** All marks of all processes in the order of the clock. A line that a kill cut short is no mark. */
export function readJournal(folder: string): Mark[] {
  const marks: Mark[] = []
  for (const name of readdirSync(folder)) {
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1)) {
      marks.push(
        JSON.parse(line, (_, value) =>
          typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
        ),
      )
    }
  }
  return marks.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
}
