// A host whose every subscriber is broken. It has to end by itself with exit code 0, its runs settled.
import { subscribe } from 'node:diagnostics_channel'
import { createLedger } from '@opsledger/core'

const CHANNELS = [
  'run.opened',
  'run.admitted',
  'run.settled',
  'run.swept',
  'term.registered',
  'database.error',
]
const [connection] = process.argv.slice(2)

const heard: string[] = []
const broken = [
  () => {
    throw new Error('a subscriber that throws')
  },
  async () => {
    throw new Error('a subscriber that rejects')
  },
  () => Promise.reject('without an error'),
  (_: unknown, name: string | symbol) => void heard.push(String(name)),
]
for (const name of CHANNELS) {
  for (const subscriber of broken) subscribe(`opsledger:${name}`, subscriber)
}

const ledger = createLedger({ connection })
const operation = ledger.operation({
  type: 'a.b',
  scope: (_: string) => ({ workspaceId: 'events-process' }),
  fingerprint: (work) => work,
  handler: ({ payload }) => {
    if (payload === 'fails') throw new Error('the handler failed')
    return payload
  },
})
const { run } = await operation.open('works')
const verdict = await operation('works', { id: 'd1', attempt: 1, maxAttempts: 1 })
const failure = await operation('fails', { id: 'd2', attempt: 1, maxAttempts: 1 }).catch(String)
await ledger.sweep()
await ledger.close()
process.send!({ runId: run.id, verdict, failure, heard })
process.disconnect!()
