import pg from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'
import { createDatabase, createTemplate, type Database } from '../database/template.ts'
import { endPools } from './end-pools.ts'

export interface TestDatabase {
  readonly url: string
  readonly name: string
  /** Without options the same pool each time, with options a new one; all are ended after the tests. */
  pool(options?: pg.PoolConfig): pg.Pool
}

/**
 * A database of its own for the test file or `describe` block that calls this, empty or copied from a template.
 * The template is made by the first file of the run that asks for its key: the same key must mean the same
 * `prepare`. Available from `beforeAll` on.
 */
export function useDatabase(options?: {
  template: string
  prepare: (url: string) => Promise<void>
}): TestDatabase {
  let database: Database | null = null
  let sharedPool: pg.Pool | null = null
  const pools: pg.Pool[] = []

  const current = (): Database => {
    if (database === null)
      throw new Error('The test database exists only from beforeAll to afterAll: ask there')
    return database
  }
  const createPool = (config?: pg.PoolConfig): pg.Pool => {
    const pool = new pg.Pool({ connectionString: current().url, ...config })
    pool.on('error', () => {}) // tests cut connections; the next query says so
    pools.push(pool)
    return pool
  }

  beforeAll(async () => {
    const server = inject('opsledgerServer')
    const template =
      options && (await createTemplate(server, { name: options.template, prepare: options.prepare }))
    database = await createDatabase(server, template)
  })

  afterAll(async () => {
    try {
      await endPools(pools)
    } finally {
      await database?.drop()
      database = null
    }
  })

  return {
    get url() {
      return current().url
    },
    get name() {
      return current().name
    },
    pool(config) {
      if (config !== undefined) return createPool(config)
      sharedPool ??= createPool()
      return sharedPool
    },
  }
}
