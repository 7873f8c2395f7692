import type { ProxyVerdict } from '../proxy.ts'
import { Conversation } from './conversation.ts'

/** One reply to lose, by whichever connection meets its statement first. */
export interface ReplyLoss {
  isMeant: (sql: string) => boolean
  how: 'cut' | 'drop'
  onDone: () => void
}

/**
 * Watches one connection for the statements in `losses`. From such a statement on nothing reaches the client, not
 * even the replies to what it had pipelined before.
 * The cut comes with the server's ReadyForQuery, not before: only that says that the statement has committed.
 */
export function loseReplies(losses: Set<ReplyLoss>): {
  fromClient(chunk: Buffer): void
  fromServer(chunk: Buffer): ProxyVerdict
} {
  let loss: ReplyLoss | null = null
  let answersToCome = 0
  const conversation = new Conversation({
    onStatement: (sql) => {
      if (loss !== null) return
      for (const candidate of losses) {
        if (!candidate.isMeant(sql)) continue
        losses.delete(candidate)
        loss = candidate
        answersToCome = conversation.outstanding + 1
        return
      }
    },
    onReady: () => {
      answersToCome -= 1
    },
  })
  return {
    fromClient: (chunk) => conversation.fromClient(chunk),
    fromServer: (chunk) => {
      conversation.fromServer(chunk)
      if (loss === null) return 'pass'
      if (answersToCome > 0) return 'drop'
      loss.onDone()
      return loss.how
    },
  }
}
