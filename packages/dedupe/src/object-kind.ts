/** An object literal or a null-prototype object, of any realm. */
export function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

/** Not an instance of a subclass: `Array.prototype`, of any realm, is itself an array. */
export function isPlainArray(value: object): value is readonly unknown[] {
  return Array.isArray(value) && Array.isArray(Object.getPrototypeOf(value))
}

/** Own or inherited; an own accessor is left unread. */
export function methodToJSON(value: object): (() => unknown) | undefined {
  const own = Object.getOwnPropertyDescriptor(value, 'toJSON')
  if (own && !('value' in own)) return undefined
  const toJSON: unknown = Reflect.get(value, 'toJSON')
  return typeof toJSON === 'function' ? (toJSON as () => unknown) : undefined
}

export function className(value: object): string {
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && /^[\w$]{1,40}$/.test(name) ? name : 'a class'
}
