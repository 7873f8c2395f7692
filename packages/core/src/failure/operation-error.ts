import { OpsLedgerError } from '../errors.ts'
import { assertReasonCode, type ReasonCode } from './reason-code.ts'

export interface OperationErrorOptions {
  /** True when trying again cannot help: the failure is terminal whatever attempts are left. @default false */
  permanent?: boolean
  /** Its message joins the stored one, redacted; it has no say in the reason code. */
  cause?: unknown
}

/**
 * Thrown by a host's handler to state its own reason code, and whether a retry is pointless. Anywhere in a chain of
 * causes the outermost one decides. Its message is redacted before it is stored; the error itself is left as it is.
 *
 * @throws InvalidOptionError when the reason code does not have the form of one
 */
export class OperationError extends OpsLedgerError {
  readonly code = 'operation_error'
  readonly reasonCode: ReasonCode
  readonly permanent: boolean

  constructor(reasonCode: ReasonCode, message: string, options: OperationErrorOptions = {}) {
    assertReasonCode('reasonCode', reasonCode)
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.reasonCode = reasonCode
    this.permanent = options.permanent ?? false
  }
}
