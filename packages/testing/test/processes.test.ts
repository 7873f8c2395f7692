import { expect, test } from 'vitest'
import { startWorker } from '../src/vitest/index.ts'

const file = new URL('./fixtures/worker.ts', import.meta.url)

test('a worker gets arguments and environment, and talks', async () => {
  const worker = startWorker(file, { args: ['a', 'b'], env: { GREETING: 'hello' } })
  expect(await worker.next()).toEqual({ ready: true, args: ['a', 'b'], greeting: 'hello' })
  worker.send({ say: 1 })
  worker.send({ say: 2 })
  expect(await worker.next<{ said: number }>((message) => message.said === 2)).toEqual({ said: 2 })
  expect(await worker.next()).toEqual({ said: 1 })
})

test('its messages end with the process', async () => {
  const worker = startWorker(file)
  worker.send({ say: 'last', exit: 3 })
  const all: unknown[] = []
  for await (const message of worker.messages()) all.push(message)
  expect(all).toEqual([expect.objectContaining({ ready: true }), { said: 'last' }])
  expect(await worker.exited).toEqual({ code: 3, signal: null })
})

test('waiting for a message that never comes fails with what the process said', async () => {
  const worker = startWorker(file)
  worker.send({ complain: 'disk on fire', exit: 1 })
  await worker.next()
  await expect(worker.next()).rejects.toThrow(/ended \(code 1\)[\s\S]*disk on fire/)
})

test('waiting is bounded', async () => {
  const worker = startWorker(file)
  await expect(worker.next((message) => message === 'never', { withinMs: 300 })).rejects.toThrow(
    'sent no such message within 300 ms',
  )
})

test('a stopped worker says nothing until it goes on', async () => {
  const worker = startWorker(file)
  await worker.next()
  worker.stop()
  worker.send({ say: 'late' })
  await expect(worker.next(undefined, { withinMs: 200 })).rejects.toThrow('within 200 ms')
  worker.cont()
  expect(await worker.next()).toEqual({ said: 'late' })
})

test('a killed worker is gone at once', async () => {
  const worker = startWorker(file)
  await worker.next()
  expect(await worker.kill()).toEqual({ code: null, signal: 'SIGKILL' })
})
