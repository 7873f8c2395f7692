import { types } from 'node:util'

/** Deeper than the prototypes of any real error, small enough to bound a hostile one. */
const MAX_PROTOTYPES = 8

/**
 * A property of a value nobody vouches for; undefined when it cannot be had without risk. Own accessors are not
 * called and proxies are not touched, since either may do anything; accessors of a class are called (`DOMException`
 * and `Response` have no others), and what they throw is swallowed.
 */
export function read(value: unknown, key: string): unknown {
  try {
    for (const [holder, depth] of prototypesOf(value)) {
      const descriptor = Object.getOwnPropertyDescriptor(holder, key)
      if (descriptor === undefined) continue
      if ('value' in descriptor) return descriptor.value
      return depth === 0 ? undefined : descriptor.get?.call(value)
    }
  } catch {
    // As good as absent.
  }
  return undefined
}

/** A text property, or the empty text. */
export function readText(value: unknown, key: string): string {
  const text = read(value, key)
  return typeof text === 'string' ? text : ''
}

/** Every name an error goes by, its own first and then those of the classes it extends. */
export function namesOf(value: unknown): string[] {
  const names: string[] = []
  try {
    if (readText(value, 'name') !== '') names.push(readText(value, 'name'))
    for (const [holder] of prototypesOf(value)) {
      const name = Object.getOwnPropertyDescriptor(holder, 'name')?.value
      if (typeof name === 'string') names.push(name)
    }
  } catch {
    // The names found so far have to do.
  }
  return names
}

/** True for errors of every realm and for what inherits from this realm's `Error`, as `DOMException` does. */
export function isError(value: unknown): boolean {
  try {
    if (types.isNativeError(value)) return true
    for (const [holder] of prototypesOf(value)) if (holder === Error.prototype) return true
  } catch {
    // Not one to rely on.
  }
  return false
}

/** The value and its prototypes with their distance; ends at the first proxy. */
function* prototypesOf(value: unknown): Generator<[object, number]> {
  if (typeof value !== 'object' && typeof value !== 'function') return
  let holder = value
  for (let depth = 0; holder !== null && depth < MAX_PROTOTYPES; depth++) {
    if (types.isProxy(holder)) return
    yield [holder, depth]
    holder = Object.getPrototypeOf(holder)
  }
}
