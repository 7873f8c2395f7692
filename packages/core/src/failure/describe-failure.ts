import type { Redactor } from '../redaction/redactor.ts'
import { chainOf } from './chain.ts'
import { classify, statedBy } from './classify.ts'
import { messageOf } from './message.ts'
import type { ReasonCode } from './reason-code.ts'

/** What the ledger keeps of something that was thrown. */
export interface Failure {
  readonly reasonCode: ReasonCode
  /** Redacted, on one line, not empty, at most 2,000 UTF-16 code units long. */
  readonly message: string
  /** True only when an `OperationError` said so. */
  readonly permanent: boolean
}

/** In UTF-16 code units; a redactor with a smaller `maxLength` makes it shorter. */
export const MAX_FAILURE_MESSAGE_LENGTH = 2_000

/** Shown when no message could be had, or none that is cleared to be shown. */
export const NO_MESSAGE = 'The failure has no message that can be shown.'

/**
 * Total over all that can be thrown: never throws, always gives a valid reason code and a message. Facts come from
 * fields with a fixed meaning (`code`, `status`, `name`); of the rest only messages are read, never `detail`,
 * `where`, `parameters`, `config`, `request` or a response's body. The thrown value is left as it is.
 */
export function describeFailure(thrown: unknown, redactor: Redactor): Failure {
  const { reasonCode, permanent, chain } = inspect(thrown)
  return { reasonCode, permanent, message: safely(() => redactor.redact(messageOf(chain, reasonCode))) }
}

function inspect(thrown: unknown): { reasonCode: ReasonCode; permanent: boolean; chain: unknown[] } {
  try {
    const chain = chainOf(thrown)
    const stated = chain.map(statedBy).find((statement) => statement !== undefined)
    return {
      reasonCode: stated?.reasonCode ?? classify(chain),
      permanent: stated?.permanent ?? false,
      chain,
    }
  } catch {
    return { reasonCode: 'unknown.error', permanent: false, chain: [] }
  }
}

function safely(message: () => string): string {
  try {
    const text = message()
    if (typeof text !== 'string' || text.trim() === '') return NO_MESSAGE
    return text.length <= MAX_FAILURE_MESSAGE_LENGTH ? text : `${cut(text, MAX_FAILURE_MESSAGE_LENGTH - 1)}…`
  } catch {
    return NO_MESSAGE
  }
}

function cut(text: string, length: number): string {
  return /[\ud800-\udbff]/.test(text[length - 1]!) ? text.slice(0, length - 1) : text.slice(0, length)
}
