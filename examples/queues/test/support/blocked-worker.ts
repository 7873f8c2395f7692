import { existsSync } from 'node:fs'
import { createLedger } from '@opsledger/core'
import { bullMqProcessor } from '@opsledger/core/bullmq'
import { Worker } from 'bullmq'
import { declareWork } from './host.ts'

/** A worker whose handler blocks its event loop until the file appears. Arguments: database, Redis, queue, file. */
const [databaseUrl, redisUrl, queueName, file] = process.argv.slice(2) as [string, string, string, string]
const clock = new Int32Array(new SharedArrayBuffer(4))

const operation = declareWork(createLedger({ connection: databaseUrl }), () => {
  process.send!('blocked')
  while (!existsSync(file)) Atomics.wait(clock, 0, 0, 20)
})
const worker = new Worker(queueName, bullMqProcessor(operation), {
  connection: { url: redisUrl },
  lockDuration: 500,
  skipStalledCheck: true,
})
worker.on('error', (error) => process.send!(`error: ${error.message}`))
