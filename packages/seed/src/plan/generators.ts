import { InvalidOptionError } from '../errors.ts'
import type { Random } from './random.ts'
import type { SeedRow, SeedValue } from './values.ts'

/** What a generator or a column's function knows about the cell it makes. */
export interface CellContext<Parent = SeedRow | null> {
  /** The row's number in its table, from 0; explicit rows come first. */
  readonly index: number
  /** The row's number among the rows of its parent, from 0; without a parent the same as `index`. */
  readonly nth: number
  /** Rows of this table altogether. */
  readonly count: number
  readonly random: Random
  /** The columns of this row that are written before this one in the plan. */
  readonly row: SeedRow
  /** The row this one belongs to, for tables with `per`; else null. */
  readonly parent: Parent
}

/** A named way to make a column's values. Made by the functions of this package, or by hand. */
export interface Generator<T = SeedValue> {
  /** Shown in messages. */
  readonly generator: string
  readonly make: (context: CellContext) => T
}

/**
 * UUIDs of RFC 9562 that follow from the seed value: not for secrets. `v4` is random; `v7` grows with the row's
 * index, one millisecond per row from an instant (2026-01-01T00:00:00.000Z unless given).
 */
export const uuid = Object.freeze({
  /** Random UUIDs of RFC 9562 version 4, the same for the same seed value. */
  v4: (): Generator<string> => ({ generator: 'uuid.v4', make: ({ random }) => formatUuid(random, 4) }),
  /** UUIDs of version 7 that grow with the row's index: one millisecond per row from this instant on. */
  v7: (from: string = DEFAULT_INSTANT): Generator<string> => {
    const start = instantMs('uuid.v7(from)', from)
    const make = ({ random, index }: CellContext) => formatUuid(random, 7, start + index)
    return { generator: 'uuid.v7', make }
  },
})

/** A fixed instant, because a plan that asks the clock is another plan every day. */
const DEFAULT_INSTANT = '2026-01-01T00:00:00.000Z'

/**
 * Numbers in a row, for identity and serial columns: known before a row is written, so other tables
 * can refer to them. After seeding, the column's own sequence goes on behind the highest.
 */
export function serial(from = 1): Generator<number> {
  assertInteger('serial(from)', from)
  return { generator: 'serial', make: ({ index }) => from + index }
}

/**
 * Instants at equal distances: `from` (2026-01-01T00:00:00.000Z unless given) for the first row, `everyMs` (a
 * minute unless given) later for each next one.
 */
export function instant(from: string = DEFAULT_INSTANT, everyMs = 60_000): Generator<Date> {
  const start = instantMs('instant(from)', from)
  assertInteger('instant(everyMs)', everyMs)
  return { generator: 'instant', make: ({ index }) => new Date(start + index * everyMs) }
}

/** One of these, at random. */
export function oneOf<const T extends SeedValue>(values: readonly T[]): Generator<T> {
  if (values.length === 0) throw new InvalidOptionError('oneOf(values)', '[]', 'at least one value')
  return { generator: 'oneOf', make: ({ random }) => random.pick(values) }
}

/** A random integer, both ends included. */
export function integer(min: number, max: number): Generator<number> {
  assertInteger('integer(min)', min)
  assertInteger('integer(max)', max)
  if (min > max || max - min >= 2 ** 32) {
    throw new InvalidOptionError('integer(max)', max, `${min} to ${min + 2 ** 32 - 1}`)
  }
  return { generator: 'integer', make: ({ random }) => random.integer(min, max) }
}

/**
 * For a column that is NOT NULL, has no default and is filled by a trigger, which the catalog does not tell:
 * the check before the first row takes your word for it.
 */
export const filledByDatabase: Generator<undefined> = Object.freeze({
  generator: 'filledByDatabase',
  make: () => undefined,
})

export function isGenerator(value: unknown): value is Generator {
  if (typeof value !== 'object' || value === null) return false
  const { generator, make } = value as Partial<Generator>
  return typeof generator === 'string' && typeof make === 'function'
}

function formatUuid(random: Random, version: 4 | 7, unixMs?: number): string {
  const words = [random.uint32(), random.uint32(), random.uint32(), random.uint32()]
  let hex = words.map((word) => word.toString(16).padStart(8, '0')).join('')
  if (unixMs !== undefined) hex = unixMs.toString(16).padStart(12, '0') + hex.slice(12)
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16)
  return (
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${version}${hex.slice(13, 16)}-` +
    `${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
  )
}

function instantMs(option: string, text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new InvalidOptionError(option, text, 'an ISO 8601 instant')
  return ms
}

function assertInteger(option: string, value: number): void {
  if (!Number.isSafeInteger(value)) throw new InvalidOptionError(option, value, 'a safe integer')
}
