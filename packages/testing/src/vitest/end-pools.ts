import type pg from 'pg'

const END_WITHIN_MS = 5_000

/** A pool with a client that was never released would wait for ever: that is a leak, and the test must fail. */
export async function endPools(pools: readonly pg.Pool[]): Promise<void> {
  const ended = Promise.all(pools.filter((pool) => !pool.ended && !pool.ending).map((pool) => pool.end()))
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, END_WITHIN_MS, 'late')
  })
  const result = await Promise.race([ended, tooLate])
  clearTimeout(timer)
  if (result === 'late') {
    const held = pools.reduce((sum, pool) => sum + pool.totalCount, 0)
    throw new Error(`${held} client(s) of a test pool were never released: call release() in a finally block`)
  }
}
