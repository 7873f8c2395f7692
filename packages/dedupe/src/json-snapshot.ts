import { types } from 'node:util'
import { CanonicalJsonError } from './canonical-json-error.ts'
import { DEFAULT_MAX_DEPTH, refuse, spend, spendString, startWalk, type Walk } from './json-walk.ts'
import { className, isPlainArray, isPlainObject, methodToJSON } from './object-kind.ts'

export type JsonObject = { readonly [key: string]: Json }
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

/**
 * A frozen copy made of null-prototype objects, arrays and primitives; refuses what `canonicalJson` refuses. Each
 * member of the original is read once, so what was checked is what the copy holds.
 */
export function plainSnapshot(value: unknown, root = '$'): Json {
  return walking(root, (walk) => copy(walk, value))
}

/**
 * As {@link plainSnapshot}, of those own members of `value` that `keys` names; absent ones are left out. What `value`
 * itself is an instance of does not matter, nor its own `toJSON`.
 */
export function pickSnapshot(value: object, keys: readonly (string | symbol)[], root = '$'): JsonObject {
  return walking(root, (walk) => {
    walk.ancestors.add(value)
    const present = keys.filter((key) => Object.hasOwn(value, key))
    return copyProperties(walk, value, present)
  })
}

function walking<T>(root: string, body: (walk: Walk) => T): T {
  const walk = startWalk(root)
  try {
    return body(walk)
  } catch (error) {
    if (error instanceof CanonicalJsonError) throw error
    return refuse(walk, 'an object that throws when it is read', 'pass a plain copy of it', { cause: error })
  }
}

function copy(walk: Walk, value: unknown): Json {
  switch (typeof value) {
    case 'string':
      spendString(walk, value, 'a string')
      return value
    case 'number':
      if (!Number.isFinite(value)) return refuse(walk, String(value), 'use a finite number or null')
      spend(walk, String(value).length)
      return value
    case 'boolean':
      spend(walk, value ? 4 : 5)
      return value
    case 'object':
      if (value !== null) return copyObject(walk, value)
      spend(walk, 4)
      return null
    case 'bigint':
      return refuse(walk, 'a BigInt', 'write it as a string, the same way everywhere')
    case 'undefined':
      return refuse(walk, 'undefined', 'use null, or leave the element out')
    default:
      return refuse(walk, `a ${typeof value}`, 'leave it out, or use a string that names it')
  }
}

function copyObject(walk: Walk, value: object): Json {
  if (walk.ancestors.has(value)) return refuse(walk, 'a cycle', 'refer to the outer object by its id')
  if (walk.trail.length >= DEFAULT_MAX_DEPTH) {
    return refuse(walk, `more than ${DEFAULT_MAX_DEPTH} levels of nesting`, 'include only what matters')
  }
  if (types.isBoxedPrimitive(value)) return refuse(walk, 'a boxed primitive', 'use the primitive itself')
  if (types.isDate(value) && Number.isNaN(Date.prototype.getTime.call(value))) {
    return refuse(walk, 'an invalid Date', 'use a valid date or null')
  }
  walk.ancestors.add(value)
  const toJSON = methodToJSON(value)
  const result = toJSON ? copyResult(walk, value, toJSON) : copyMembers(walk, value)
  walk.ancestors.delete(value)
  return result
}

function copyResult(walk: Walk, value: object, toJSON: () => unknown): Json {
  let form: unknown
  try {
    form = Reflect.apply(toJSON, value, [String(walk.trail.at(-1) ?? '')])
  } catch (error) {
    return refuse(walk, 'a toJSON that throws', 'include the fields it is made of', { cause: error })
  }
  if (typeof form !== 'object' || form === null) return copy(walk, form)
  if (walk.ancestors.has(form) || types.isBoxedPrimitive(form) || methodToJSON(form)) {
    return refuse(walk, 'a toJSON that returns no plain form', 'return a plain object or a primitive from it')
  }
  walk.ancestors.add(form)
  const result = copyMembers(walk, form)
  walk.ancestors.delete(form)
  return result
}

function copyMembers(walk: Walk, value: object): Json {
  if (isPlainArray(value)) return copyArray(walk, value)
  if (types.isMap(value)) return refuse(walk, 'a Map', 'use an object, or a sorted array of its entries')
  if (types.isSet(value)) return refuse(walk, 'a Set', 'use a sorted array of its elements')
  if (isPlainObject(value)) return copyProperties(walk, value, Reflect.ownKeys(value))
  return refuse(walk, `an instance of ${className(value)}`, 'include its plain fields, or give it a toJSON')
}

function copyProperties(walk: Walk, value: object, keys: readonly (string | symbol)[]): JsonObject {
  const members: Record<string, Json> = Object.create(null)
  let separators = 1
  spend(walk, 2)
  for (const key of keys) {
    if (typeof key === 'symbol') return refuse(walk, 'a symbol key', 'use string keys')
    walk.trail.push(key)
    const member = readOwn(walk, value, key)
    if (member !== undefined) {
      spendString(walk, key, 'a key')
      spend(walk, separators)
      separators = 2
      members[key] = copy(walk, member)
    }
    walk.trail.pop()
  }
  return Object.freeze(members)
}

function copyArray(walk: Walk, value: readonly unknown[]): Json {
  const { length } = value
  spend(walk, 2 + Math.max(0, length - 1))
  const elements: Json[] = []
  for (let index = 0; index < length; index++) {
    walk.trail.push(index)
    elements.push(copy(walk, readOwn(walk, value, index)))
    walk.trail.pop()
  }
  if (Reflect.ownKeys(value).length === length + 1) return Object.freeze(elements)
  return refuse(walk, 'an array with named properties', 'use an object for them')
}

function readOwn(walk: Walk, object: object, key: string | number): unknown {
  const property = Object.getOwnPropertyDescriptor(object, key)
  if (!property) return refuse(walk, 'a hole', 'fill it with null, or leave the element out')
  if (!('value' in property)) return refuse(walk, 'an accessor', 'copy what it returns into a plain property')
  if (!property.enumerable) return refuse(walk, 'a hidden property', 'make it enumerable, or leave it out')
  return Reflect.get(object, key)
}
