import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below the range from which Linux and macOS take ports for outgoing connections, so that none of those
 * takes the port while the server restarts.
 */
const RANGE = { from: 20_000, to: 32_000 }

/** Free when asked; the caller must still be ready to lose it to another process. */
export async function findFreePort(): Promise<number> {
  for (let round = 0; round < 50; round++) {
    const port = randomInt(RANGE.from, RANGE.to)
    if (await isFree(port)) return port
  }
  throw new Error(`No free port between ${RANGE.from} and ${RANGE.to} on 127.0.0.1 after 50 tries`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}
