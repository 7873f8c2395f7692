import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Holder, SettlementAnswer, SkipReason } from '@opsledger/core'

/**
 * What really happened, told by the handlers themselves past the library: one append-only file per process, written
 * synchronously, so that a SIGKILL loses nothing that was marked. Times are of the monotonic clock, which all
 * processes of one machine share.
 */
export type Mark =
  | {
      readonly mark: 'started'
      readonly at: bigint
      readonly pid: number
      readonly work: string
      readonly fence: number
      readonly runId: string
      readonly attempt: number
      readonly deliveryId: string
    }
  | { readonly mark: 'ended'; readonly at: bigint; readonly fence: number }
  | {
      readonly mark: 'answered'
      readonly at: bigint
      readonly askedAt: bigint
      readonly pid: number
      readonly work: string
      readonly deliveryId: string
      readonly answer: Answer
    }

export type Answer =
  | { readonly kind: 'executed'; readonly fence: number; readonly settlement: SettlementAnswer }
  /** The handler's own error came back. */
  | { readonly kind: 'threw' }
  | {
      readonly kind: 'skipped'
      readonly reason: SkipReason
      readonly action: 'discard' | 'retry_later'
      readonly holder: Holder | null
      readonly runId: string | null
    }
  | { readonly kind: 'error'; readonly message: string }

export function openJournal(folder: string) {
  const file = openSync(join(folder, `${process.pid}-${process.hrtime.bigint()}.ndjson`), 'a')
  return {
    mark(mark: Mark): void {
      const text = JSON.stringify(mark, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
      writeSync(file, `${text}\n`)
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
  return marks.sort((a, b) => Number(a.at - b.at))
}
