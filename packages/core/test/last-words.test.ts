import { createServer, connect as tcpConnect } from 'node:net'
import { createLedger, migrate } from '@opsledger/core'
import { expect, onTestFinished, test } from 'vitest'
import { delivery, useCoreDatabase } from './support/ledger.ts'

const database = useCoreDatabase()

/** A FATAL ErrorResponse, as a server sends it that is told to shut down. */
const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection due to administrator command', '']
const body = Buffer.from(fields.map((field) => `${field}\0`).join(''))
const LAST_WORDS = Buffer.concat([Buffer.from('E'), int32(body.length + 4), body])
const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}

/** A server that ends the first `times` connections in the very packet that says they are ready. */
async function rudeServer(times: number) {
  const target = new URL(database.url)
  let left = times
  const server = createServer((client) => {
    const upstream = tcpConnect(Number(target.port || 5432), target.hostname)
    client.on('error', () => {})
    upstream.on('error', () => {})
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => {
      if (left === 0 || chunk.indexOf(READY_FOR_QUERY) === -1) return client.write(chunk)
      left--
      client.end(Buffer.concat([chunk, LAST_WORDS]))
      upstream.destroy()
    })
    upstream.on('close', () => client.end())
    client.on('close', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const url = new URL(database.url)
  url.port = String((server.address() as { port: number }).port)
  return { url: url.href, isDone: () => left === 0 }
}

test('a connection that ends in the same packet that made it ready takes no process down', async () => {
  const server = await rudeServer(3)
  const ledger = createLedger({ connection: server.url })
  onTestFinished(() => ledger.close())
  const operation = ledger.operation({
    type: 'assignment.fetch',
    scope: (_: string) => ({ workspaceId: 'w1' }),
    fingerprint: (work) => work,
    handler: ({ run }) => run.transaction(async () => 'done'),
  })
  // What takes no process down may still be told.
  while (!server.isDone()) await operation('a', delivery('a')).catch(() => {})
  expect(await operation('b', delivery('b'))).toMatchObject({ executed: true, value: 'done' })
})

test('nor a migration', async () => {
  const server = await rudeServer(1)
  await expect(migrate({ connection: server.url })).rejects.toMatchObject({ code: 'database_unavailable' })
  await migrate({ connection: server.url })
})
