import { OpsLedgerError } from '@opsledger/core'

/**
 * There is a transaction pooler between this process and Postgres: a session's lock would not be its own. Found when the
 * lock session is first opened, by `ledger.ready()` or by the first delivery.
 */
export class TransactionPoolerError extends OpsLedgerError {
  readonly code = 'transaction_pooler'

  constructor(where: string) {
    super(
      `The connection to ${where} goes through a transaction pooler, where a session's advisory lock belongs to ` +
        "whoever runs next. Give the ledger a direct connection, or create the guard with `exclusion: 'lease'`.",
    )
  }
}

/** Postgres has no room for another advisory lock. Nothing was executed; there is room again when other jobs end. */
export class LockTableFullError extends OpsLedgerError {
  readonly code = 'lock_table_full'

  constructor(options?: ErrorOptions) {
    super(
      'Postgres has no room for another advisory lock (53200): about max_locks_per_transaction × max_connections fit. ' +
        "Raise max_locks_per_transaction, run fewer jobs at once, or create the guard with `exclusion: 'lease'`.",
      options,
    )
  }
}
