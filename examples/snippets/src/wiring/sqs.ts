// biome-ignore-all assist/source/organizeImports: the snippet begins with its own
import { strict as assert } from 'node:assert'
import '../migrated.ts'
import { type FetchJob, jobOf, saved } from './host.ts'

interface SqsMessage {
  readonly MessageId: string
  readonly Body: string
  readonly Attributes: { readonly ApproximateReceiveCount: string }
}

/** What became of each message: the calls of the AWS SDK that a host makes, without a network. */
const calls: string[] = []
const sqs = {
  async remove({ MessageId }: SqsMessage) {
    calls.push(`${MessageId} removed`)
  },
  async hide({ MessageId }: SqsMessage, seconds: number) {
    calls.push(`${MessageId} hidden ${seconds}`)
  },
  async sendToDeadLetterQueue({ MessageId }: SqsMessage, reason: string | null) {
    calls.push(`${MessageId} dead ${reason}`)
  },
}

// #region worker
import { fetchAssignments, ledger } from './operations.ts'

const ATTEMPTS = 5 // below maxReceiveCount of the redrive policy, because SQS counts every receive
const VISIBILITY_SECONDS = 60

async function onMessage(message: SqsMessage) {
  const attempt = Number(message.Attributes.ApproximateReceiveCount)
  const delivery = { id: message.MessageId, attempt, maxAttempts: ATTEMPTS }
  const stayHidden = () => sqs.hide(message, VISIBILITY_SECONDS).catch(console.error)
  const heartbeat = setInterval(stayHidden, (VISIBILITY_SECONDS * 1_000) / 3)
  const job: FetchJob = JSON.parse(message.Body)
  const conclusion = await fetchAssignments.conclude(job, delivery).finally(() => clearInterval(heartbeat))

  if (!conclusion.executed) {
    if (conclusion.action === 'discard') await sqs.remove(message)
    else await sqs.hide(message, Math.ceil(conclusion.retryAfterMs / 1_000))
  } else if (!conclusion.threw || conclusion.run.outcome.endsWith('succeeded')) {
    await sqs.remove(message) // also what threw after it had settled its run itself
  } else if (conclusion.isHandedBack) {
    await sqs.hide(message, 0) // this library stopped it: another worker may have it at once
  } else if (conclusion.run.status === 'completed') {
    await sqs.sendToDeadLetterQueue(message, conclusion.run.reasonCode) // permanent, or the last attempt
    await sqs.remove(message)
  } else {
    await sqs.hide(message, 2 ** attempt) // its retry is admitted at once
  }
}
// #endregion

const receive = (MessageId: string, receives: number, policyId: string): SqsMessage => ({
  MessageId,
  Body: JSON.stringify(jobOf(policyId)),
  Attributes: { ApproximateReceiveCount: String(receives) },
})

await Promise.all([onMessage(receive('a', 1, 'sqs')), onMessage(receive('a', 2, 'sqs'))])
assert.equal(saved.length, 3)
assert.deepEqual(calls.splice(0).sort(), ['a hidden 15', 'a removed'])
await onMessage(receive('a', 3, 'sqs')) // it has ended meanwhile
await onMessage(receive('b', 1, 'sqs')) // the same work in its cooldown
assert.deepEqual(calls.splice(0), ['a removed', 'b removed'])
await onMessage(receive('c', 1, 'gone'))
await onMessage(receive('c', 5, 'gone'))
assert.deepEqual(calls.splice(0), ['c hidden 2', 'c dead unknown.error', 'c removed'])
await ledger.close()
