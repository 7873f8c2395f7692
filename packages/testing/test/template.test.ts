import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { hostname } from 'node:os'
import pg from 'pg'
import { expect, inject, test } from 'vitest'
import { createRunId } from '../src/database/names.ts'
import { createDatabase, createTemplate, dropRunDatabases, dropStaleDatabases } from '../src/index.ts'

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

const host = () => ({
  url: inject('opsledgerServer').url,
  runId: `${createRunId()}x${Math.trunc(performance.now())}`,
})

test('a template is prepared once, however many ask at the same time', async () => {
  const here = host()
  let prepared = 0
  const prepare = async (url: string) => {
    prepared += 1
    await query(url, 'create table made (n int)')
  }
  const templates = await Promise.all(
    Array.from({ length: 5 }, () => createTemplate(here, { name: 'once', prepare })),
  )
  expect(prepared).toBe(1)
  expect(new Set(templates.map((template) => template.name)).size).toBe(1)
  await using database = await createDatabase(here, templates[0])
  expect(await query(database.url, 'select * from made')).toEqual([])
  await dropRunDatabases(here)
})

test('a failed preparation leaves no half template behind', async () => {
  const here = host()
  const failing = createTemplate(here, {
    name: 'fails',
    prepare: async () => {
      throw new Error('migration 3 failed')
    },
  })
  await expect(failing).rejects.toThrow('migration 3 failed')
  const template = await createTemplate(here, {
    name: 'fails',
    prepare: async (url) => void (await query(url, 'create table made (n int)')),
  })
  await using database = await createDatabase(here, template)
  expect(await query(database.url, 'select * from made')).toEqual([])
  await dropRunDatabases(here)
})

test('a connection that closes late only delays the template', async () => {
  const here = host()
  const late: pg.Client[] = []
  const making = createTemplate(here, {
    name: 'late',
    prepare: async (url) => {
      const client = new pg.Client(url)
      await client.connect()
      late.push(client)
      setImmediate(() => client.query('select pg_sleep(0.2)').then(() => client.end()))
    },
  })
  await expect(making).resolves.toMatchObject({ name: expect.stringContaining('_t_') })
  await dropRunDatabases(here)
})

test('drop ends the sessions that are still there', async () => {
  const database = await createDatabase(host())
  const client = new pg.Client(database.url)
  const closed = new Promise((resolve) => client.on('error', resolve))
  await client.connect()
  await database.drop()
  await closed
  await expect(query(database.url, 'select 1')).rejects.toMatchObject({ code: '3D000' })
})

test('databases of a dead process are dropped, those of a living one and of other owners stay', async () => {
  const { url } = inject('opsledgerServer')
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'exit')
  const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 6)
  const dead = await createDatabase({ url, runId: `${machine}_${child.pid}_${Date.now().toString(36)}` })
  const living = await createDatabase({ url, runId: createRunId() })
  const foreign = `somebody_elses_${process.pid}`
  await query(url, `create database ${foreign}`)

  const dropped = await dropStaleDatabases({ url })

  expect(dropped).toContain(dead.name)
  expect(dropped).not.toContain(living.name)
  expect(
    await query(url, `select datname from pg_database where datname in ('${foreign}', '${living.name}')`),
  ).toHaveLength(2)
  await query(url, `drop database ${foreign}`)
  await living.drop()
})
