/**
 * The answer, or an error that says that the connection is lost: what is asked for here is idempotent, so nobody has to
 * wait for ever with a driver that would. A timer alone proves nothing after the event loop was blocked, because timers
 * run before sockets are read: one look at the sockets comes first.
 */
export async function bounded<T>(answer: Promise<T>, withinMs: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const giveUp = () => reject(new Error('Query read timeout'))
  const timer = setTimeout(() => setImmediate(giveUp), withinMs)
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
    // An answer that comes when nobody waits any more is nobody's unhandled rejection.
    answer.catch(() => {})
  }
}
