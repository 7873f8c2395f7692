import { createServer } from 'node:net'
import { expect, inject, test } from 'vitest'
import { dockerAnswers } from '../src/database/docker-server.ts'
import { findServer, maskPassword } from '../src/index.ts'

const quiet = () => {}

test('a URL in the environment wins, and its password stays out of the line', async () => {
  const url = inject('opsledgerServer').url
  const lines: string[] = []
  await using server = await findServer({
    env: { OPSLEDGER_DATABASE_URL: url },
    print: (line) => lines.push(line),
  })
  expect(server.kind).toBe('url')
  expect(lines).toEqual([
    `database: Postgres ${server.version} at ${maskPassword(url)} (from OPSLEDGER_DATABASE_URL)`,
  ])
  expect(lines[0]).not.toContain(new URL(url).password)
})

test('a refused URL names the variable, the reason and the way out, not the password', async () => {
  const env = { OPSLEDGER_DATABASE_URL: 'postgres://someone:s3cret@127.0.0.1:1/db' }
  const error: Error = await findServer({ env, print: quiet }).catch((reason) => reason)
  expect(error.message).toContain('OPSLEDGER_DATABASE_URL points to postgres://someone:***@127.0.0.1:1/db')
  expect(error.message).toContain('ECONNREFUSED')
  expect(error.message).toContain('unset the variable to use Docker or the embedded Postgres')
  expect(error.message).not.toContain('s3cret')
})

test.each([
  [{ OPSLEDGER_DATABASE_URL: 'localhost:5432' }, 'OPSLEDGER_DATABASE_URL is not a Postgres URL'],
  [{ OPSLEDGER_DATABASE: 'url' }, 'OPSLEDGER_DATABASE=url needs OPSLEDGER_DATABASE_URL'],
  [{ OPSLEDGER_DATABASE: 'oracle' }, 'OPSLEDGER_DATABASE is "oracle": allowed are url, docker, embedded'],
  [{ OPSLEDGER_POSTGRES_MAJOR: '9' }, 'OPSLEDGER_POSTGRES_MAJOR is "9": allowed are 14 to 18'],
])('%o is refused: %s', async (env, message) => {
  await expect(findServer({ env, print: quiet })).rejects.toThrow(message)
})

test('a URL of another major than the one asked for is refused', async () => {
  const env = { OPSLEDGER_DATABASE_URL: inject('opsledgerServer').url, OPSLEDGER_POSTGRES_MAJOR: '14' }
  if (inject('opsledgerServer').version.startsWith('14')) env.OPSLEDGER_POSTGRES_MAJOR = '15'
  await expect(findServer({ env, print: quiet })).rejects.toThrow('unset one of them')
})

test.each([
  ['a missing socket', 'unix:///nowhere/docker.sock'],
  ['a refused port', 'tcp://127.0.0.1:1'],
  ['a scheme testcontainers does not speak', 'ssh://host'],
  ['no URL at all', 'nonsense'],
])('Docker behind %s falls through at once', async (_, address) => {
  const started = performance.now()
  expect(await dockerAnswers({ DOCKER_HOST: address })).toBe(false)
  expect(performance.now() - started).toBeLessThan(1_000)
})

test('a Docker that accepts and never answers is given up within a second', async () => {
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as { port: number }
  const started = performance.now()
  expect(await dockerAnswers({ DOCKER_HOST: `tcp://127.0.0.1:${port}` })).toBe(false)
  expect(performance.now() - started).toBeLessThan(1_000)
  silent.close()
})

test.each([
  ['a Docker that answers is seen', 'HTTP/1.1 200 OK', true],
  ['something else at its address is not taken for Docker', 'HTTP/1.1 403 Forbidden', false],
])('%s', async (_, answer, seen) => {
  const engine = createServer((socket) => socket.on('data', () => socket.end(`${answer}\r\n\r\n`)))
  await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve))
  const { port } = engine.address() as { port: number }
  expect(await dockerAnswers({ DOCKER_HOST: `tcp://127.0.0.1:${port}` })).toBe(seen)
  engine.close()
})
