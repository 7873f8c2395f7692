import pg from 'pg'

/**
 * A pool of the library's own that no lost connection takes the process down with: the next call gets another one.
 * An idle client's error is heard by the pool. The listener of each client's own is there from its start and for good:
 * a connection's last message may come in the same breath as the one that made it ready, before whoever asked for it
 * has been told.
 */
export function openPool(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(config)
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}
