/** The value below which this share of them lies; the nearest that was really measured. NaN for none. */
export function quantile(values: readonly number[] | Float64Array, share: number): number {
  const inOrder = Float64Array.from(values).sort()
  if (inOrder.length === 0) return Number.NaN
  return inOrder[Math.min(inOrder.length - 1, Math.max(0, Math.ceil(share * inOrder.length) - 1))]!
}

/** The middle one, or between the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const inOrder = Float64Array.from(values).sort()
  const middle = inOrder.length >> 1
  if (inOrder.length === 0) return Number.NaN
  return inOrder.length % 2 === 1 ? inOrder[middle]! : (inOrder[middle - 1]! + inOrder[middle]!) / 2
}

export interface Summary {
  readonly median: number
  readonly least: number
  readonly most: number
  readonly runs: number
}

export function summarize(values: readonly number[]): Summary {
  return {
    median: median(values),
    least: Math.min(...values),
    most: Math.max(...values),
    runs: values.length,
  }
}
