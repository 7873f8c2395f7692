import { namesOf, read } from './read.ts'

/** Wrappers of wrappers end long before this; it also bounds a chain without end. */
const MAX_CHAIN_LENGTH = 16

/**
 * What was thrown, then what caused it, level by level: `cause`, the errors of an `AggregateError`, the error of a
 * `SuppressedError`. Each object once, so cycles end.
 */
export function chainOf(thrown: unknown): unknown[] {
  const chain: unknown[] = [thrown]
  const seen = new Set<unknown>(chain)
  for (let i = 0; i < chain.length && chain.length < MAX_CHAIN_LENGTH; i++) {
    for (const cause of causesOf(chain[i])) {
      if (seen.has(cause) || chain.length >= MAX_CHAIN_LENGTH) continue
      seen.add(cause)
      chain.push(cause)
    }
  }
  return chain
}

function causesOf(value: unknown): unknown[] {
  const causes = [read(value, 'cause')]
  const errors = read(value, 'errors')
  const isAggregate = namesOf(value).includes('AggregateError')
  for (let i = 0; isAggregate && i < MAX_CHAIN_LENGTH; i++) causes.push(read(errors, String(i)))
  if (namesOf(value).includes('SuppressedError')) causes.push(read(value, 'error'))
  return causes.filter((cause) => cause !== undefined && cause !== null && typeof cause !== 'function')
}
