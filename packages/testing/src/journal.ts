import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Nanoseconds of the monotonic clock, which all processes of a machine share and no clock change moves. */
export type Nanos = bigint

export const nanos = (): Nanos => process.hrtime.bigint()

/** What processes tell of themselves past the library under test. The marks are plain JSON, and may hold bigints. */
export interface Journal<M extends JournalMark> {
  mark(mark: M): void
  close(): void
}

export interface JournalMark {
  readonly at: Nanos
}

/** Appends to a file of this process's own, synchronously: a SIGKILL loses nothing that was marked. */
export function openJournal<M extends JournalMark>(folder: string): Journal<M> {
  const file = openSync(join(folder, `${process.pid}-${nanos()}.ndjson`), 'a')
  return {
    mark: (mark) => void writeSync(file, `${JSON.stringify(mark, bigintToText)}\n`),
    close: () => closeSync(file),
  }
}

/** All marks of all processes in the order of the clock. A line that a kill cut short is no mark. */
export function readJournal<M extends JournalMark>(folder: string): M[] {
  return readdirSync(folder)
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
    .map((line): M => JSON.parse(line, textToBigint))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
}

const bigintToText = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)

const textToBigint = (_: string, value: unknown) =>
  typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value
