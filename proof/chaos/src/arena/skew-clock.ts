/** Makes this process's wall clock wrong, as a worker's is whose machine lost its time server. */
export function skewClock(byMs: number): void {
  const RealDate = Date
  const realNow = RealDate.now
  class SkewedDate extends RealDate {
    constructor(...args: unknown[]) {
      if (args.length === 0) super(realNow() + byMs)
      // biome-ignore lint/suspicious/noExplicitAny: whatever a caller gives to Date
      else super(...(args as [any]))
    }
    static override now() {
      return realNow() + byMs
    }
  }
  globalThis.Date = SkewedDate as DateConstructor
}
