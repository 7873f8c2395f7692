import { existsSync } from 'node:fs'
import pg from 'pg'
import { expect, test } from 'vitest'
import { eventually, findServer, startEmbeddedServer } from '../src/index.ts'
import { startWorker } from '../src/vitest/index.ts'

const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

test('without a URL and without Docker the embedded server is taken, and said so in one line', async () => {
  const lines: string[] = []
  const started = performance.now()
  await using server = await findServer({
    env: { DOCKER_HOST: 'unix:///nowhere/docker.sock' },
    print: (line) => lines.push(line),
  })
  expect(performance.now() - started).toBeLessThan(20_000)
  expect(lines).toEqual([
    `database: embedded Postgres ${server.version} (no OPSLEDGER_DATABASE_URL, no usable Docker)`,
  ])
  expect(server.kind).toBe('embedded')
  expect(server.version).toMatch(/^18\.\d+$/)
})

test('a server is durable, listens on loopback only and takes settings', async () => {
  await using server = await startEmbeddedServer({ settings: { max_connections: '33' } })
  const rows = await query(
    server.url,
    `select name, setting from pg_settings where name in
     ('fsync', 'synchronous_commit', 'listen_addresses', 'unix_socket_directories', 'max_connections')
     order by name`,
  )
  expect(Object.fromEntries(rows.map((row) => [row.name, row.setting]))).toEqual({
    fsync: 'on',
    listen_addresses: '127.0.0.1',
    max_connections: '33',
    synchronous_commit: 'on',
    unix_socket_directories: '',
  })
})

test('stop leaves no process and no folder', async () => {
  const server = await startEmbeddedServer()
  const { pid, folder } = server
  expect(isRunning(pid)).toBe(true)
  expect(existsSync(folder)).toBe(true)
  await server.stop()
  expect(isRunning(pid)).toBe(false)
  expect(existsSync(folder)).toBe(false)
  await server.stop()
  await expect(server.restart('fast')).rejects.toThrow('The embedded Postgres is stopped')
})

test.each(['immediate', 'fast'] as const)('a %s restart keeps address and data', async (mode) => {
  await using server = await startEmbeddedServer()
  await query(server.url, 'create table kept (n int)')
  await query(server.url, 'insert into kept values (1)')
  const before = server.pid
  await server.restart(mode)
  expect(server.pid).not.toBe(before)
  expect(await query(server.url, 'select n from kept')).toEqual([{ n: 1 }])
})

test.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('a %s of the owner leaves nothing', async (signal) => {
  const owner = startWorker(new URL('./fixtures/server-owner.ts', import.meta.url))
  const { pid, folder } = await owner.next<{ pid: number; folder: string }>()
  expect(isRunning(pid)).toBe(true)
  await owner.kill(signal)
  await eventually(() => {
    expect(isRunning(pid)).toBe(false)
    expect(existsSync(folder)).toBe(false)
  })
})

test('a major that there is no build of is an error that says which there are', async () => {
  await expect(startEmbeddedServer({ major: 13 })).rejects.toThrow(/allowed are 14, 15, 16, 17, 18$/)
})
