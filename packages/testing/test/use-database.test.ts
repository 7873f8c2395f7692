import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '../src/vitest/index.ts'

const prepare = async (url: string) => {
  const client = new pg.Client(url)
  await client.connect()
  await client.query('create table note (text text)')
  await client.end()
}

describe('a database for a test file', () => {
  const database = useDatabase({ template: 'note', prepare })

  test('comes with what its template holds', async () => {
    await database.pool().query(`insert into note values ('here')`)
    const { rows } = await database.pool().query('select text from note')
    expect(rows).toEqual([{ text: 'here' }])
  })

  test('gives one shared pool, and a new one for options of its own', () => {
    expect(database.pool()).toBe(database.pool())
    expect(database.pool({ max: 1 })).not.toBe(database.pool())
  })
})

describe('two databases of one template', () => {
  const first = useDatabase({ template: 'note', prepare })
  const second = useDatabase({ template: 'note', prepare })

  test('do not see each other, rows nor advisory locks', async () => {
    expect(first.name).not.toBe(second.name)
    await first.pool().query(`insert into note values ('first')`)
    const { rows } = await second.pool().query('select text from note')
    expect(rows).toEqual([])
    for (const database of [first, second]) {
      const locked = await database.pool().query('select pg_try_advisory_lock(7) as locked')
      expect(locked.rows).toEqual([{ locked: true }])
    }
  })
})

describe('an empty database', () => {
  const database = useDatabase()

  test('has no tables', async () => {
    const { rows } = await database
      .pool()
      .query(`select tablename from pg_tables where schemaname = 'public'`)
    expect(rows).toEqual([])
  })
})
